"""Cutting a Markdown document into passages: one idea each, with the headings above it, never half a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 120
"""Words of a chunk; MiniLM reads 256 tokens, headings included."""
SHORTEST: Final = 40
"""Words below which neighbouring paragraphs of one section are joined."""

_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE: Final = re.compile(r"\s*(```|~~~)")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True)
class Chunk:
    """A passage.

    Args:
        heading: The headings above it, outermost first, joined by ` › `.
        text: What it says, without the headings.
        start: Offset of its first character in the document.
        end: Offset behind its last character: `document[start:end]` is `text`.
    """

    heading: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class _Block:
    """A paragraph, list or table: lines that belong together."""

    headings: tuple[str, ...]
    start: int
    end: int


def chunk_markdown(text: str) -> list[Chunk]:
    """Cut a document by its headings, then by its paragraphs; short neighbours are joined, long ones cut.

    Args:
        text: Markdown; text without any markup is one section.
    """
    chunks: list[Chunk] = []
    pending: _Block | None = None
    for block in _blocks(text):
        if pending is not None and pending.headings == block.headings:
            joined = _Block(block.headings, pending.start, block.end)
            if _words(text, pending) < SHORTEST and _words(text, joined) <= LONGEST:
                pending = joined
                continue
        if pending is not None:
            chunks += _cut(text, pending)
        pending = block
    if pending is not None:
        chunks += _cut(text, pending)
    return chunks


def _blocks(text: str) -> Iterator[_Block]:
    headings: list[tuple[int, str]] = []
    path: tuple[str, ...] = ()
    start: int | None = None
    fenced = False
    position = 0
    for line in text.splitlines(keepends=True):
        begin, position = position, position + len(line)
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        if (heading or (not line.strip() and not fenced)) and start is not None:
            yield _Block(path, start, begin)
            start = None
        if heading:
            level = len(heading[1])
            headings = [each for each in headings if each[0] < level] + [(level, heading[2])]
            path = tuple(title for _, title in headings)
        elif line.strip() and start is None:
            start = begin
    if start is not None:
        yield _Block(path, start, position)


def _cut(text: str, block: _Block) -> Iterator[Chunk]:
    """One chunk, or several where the block is too long: cut between sentences, a list between its lines."""
    start = block.start
    end = start
    for stop in _stops(text, block):
        if end > start and len(text[start:stop].split()) > LONGEST:
            yield _chunk(text, block, start, end)
            start = end
        end = stop
    yield _chunk(text, block, start, end)


def _stops(text: str, block: _Block) -> Iterator[int]:
    for match in _SENTENCE_END.finditer(text, block.start, block.end):
        yield match.end()
    yield block.end


def _chunk(text: str, block: _Block, start: int, end: int) -> Chunk:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end = start + len(piece.strip())
    return Chunk(" › ".join(block.headings), text[start:end], start, end)


def _words(text: str, block: _Block) -> int:
    return len(text[block.start : block.end].split())
