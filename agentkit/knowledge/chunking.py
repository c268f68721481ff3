"""Cutting a document into passages: one idea each, with the headings above it, never half a sentence.

In Markdown an author may write below a heading, before the text, how else people ask for it; a line each::

    ## How long do I have to return something?
    Also asked: by when must it be back with you?
    Also asked: can I still send it back after three weeks?
    You can return a piece within 30 days after it was delivered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

VERSION: Final = 4
"""Raised when documents have to be cut anew."""

LONGEST: Final = 120
"""Words of a chunk; MiniLM reads 256 tokens, headings included."""
SHORTEST: Final = 40
"""Words below which neighbouring paragraphs of one section are joined."""

_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_PARAGRAPH: Final = re.compile(r"[^\S\n]*\S.*(?:\n[^\S\n]*\S.*)*")
_ASKED: Final = re.compile(r"also asked:\s*(.*?)\s*$", re.IGNORECASE)
_FENCE: Final = re.compile(r"\s*(```|~~~)")
_ITEM: Final = re.compile(
    r"[ \t]*(?:[-*+]\s|\d+[.)]\s|\|)"
)  # a line that begins a list item or is a table row
_SENTENCE_END: Final = re.compile(r"[.!?…][\"'”’)\]]*(?P<space>\s+)")
_ABBREVIATION: Final = re.compile(
    r"\b(?:[A-Za-z]|[Dd]r|[Mm]rs?|[Mm]s|St|[Nn]o|vs|etc|approx|ca|incl|max|min|e\.g|i\.e)\.$"
)


@dataclass(frozen=True)
class Chunk:
    """A passage.

    Args:
        heading: The headings above it, outermost first, joined by ` › `.
        text: What it says, without the headings.
        start: Offset of its first character in the document.
        end: Offset behind its last character: `document[start:end]` is `text`.
        asked: Other words in which people ask for it, as its author says.
    """

    heading: str
    text: str
    start: int
    end: int
    asked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """A paragraph, list or table: lines that belong together.

    Args:
        headings: The headings above it, outermost first.
        start: Offset of its first character in the document.
        end: Offset behind its last line.
        asked: Other words in which people ask for what stands under its heading.
    """

    headings: tuple[str, ...]
    start: int
    end: int
    asked: tuple[str, ...] = ()


def chunk_markdown(text: str) -> list[Chunk]:
    """Cut a Markdown document by its headings, then by its paragraphs."""
    return chunk_blocks(text, _markdown_blocks(text))


def chunk_text(text: str) -> list[Chunk]:
    """Cut plain text by its paragraphs, which empty lines separate; nothing in it is a heading."""
    return chunk_blocks(text, paragraphs(text))


def chunk_blocks(text: str, blocks: Iterable[Block]) -> list[Chunk]:
    """Cut a document whose blocks are known; short neighbours of one section are joined, long ones cut.

    Args:
        text: The document.
        blocks: In their order.
    """
    chunks: list[Chunk] = []
    pending: Block | None = None
    for block in blocks:
        if pending is not None and (pending.headings, pending.asked) == (block.headings, block.asked):
            joined = replace(pending, end=block.end)
            is_short = min(_words(text, pending), _words(text, block)) < SHORTEST
            if is_short and _words(text, joined) <= LONGEST:
                pending = joined
                continue
        if pending is not None:
            chunks += _cut(text, pending)
        pending = block
    if pending is not None:
        chunks += _cut(text, pending)
    return chunks


def paragraphs(
    text: str, headings: tuple[str, ...] = (), start: int = 0, end: int | None = None
) -> Iterator[Block]:
    """The blocks of `text[start:end]` that empty lines separate, all under the same headings."""
    for match in _PARAGRAPH.finditer(text, start, len(text) if end is None else end):
        yield Block(headings, match.start(), match.end())


def _markdown_blocks(text: str) -> Iterator[Block]:
    headings: list[tuple[int, str]] = []
    path: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    start: int | None = None
    fenced = False
    has_text = True
    position = 0
    for line in text.splitlines(keepends=True):
        begin, position = position, position + len(line)
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        if (heading or (not line.strip() and not fenced)) and start is not None:
            yield Block(path, start, begin, asked)
            start = None
        if not has_text and not fenced and (other := _ASKED.match(line)):
            asked += (other[1],) if other[1] else ()
        elif heading:
            level = len(heading[1])
            headings = [each for each in headings if each[0] < level] + [(level, heading[2])]
            path = tuple(title for _, title in headings)
            asked, has_text = (), False
        elif line.strip() and start is None:
            start, has_text = begin, True
    if start is not None:
        yield Block(path, start, position, asked)


def _cut(text: str, block: Block) -> Iterator[Chunk]:
    """One chunk, or several where the block is too long: cut between sentences, list items and table rows."""
    start = block.start
    end = start
    for stop in _stops(text, block):
        if end > start and len(text[start:stop].split()) > LONGEST:
            yield _chunk(text, block, start, end)
            start = end
        end = stop
    yield _chunk(text, block, start, end)


def _stops(text: str, block: Block) -> Iterator[int]:
    """Where a block may be cut: after sentences and items, and inside a sentence only if it is too long."""
    begin = block.start
    for stop in [*sorted(_ends(text, block)), block.end]:
        for words, word in enumerate(re.finditer(r"\S+\s*", text[begin:stop]), start=1):
            if words % LONGEST == 0 and begin + word.end() < stop:
                yield begin + word.end()
        yield stop
        begin = stop


def _ends(text: str, block: Block) -> set[int]:
    ends = set()
    for match in _SENTENCE_END.finditer(text, block.start, block.end):
        before = text[max(block.start, match.start() - 12) : match.start() + 1]
        goes_on = text[match.end() : match.end() + 1].islower() or _ABBREVIATION.search(before)
        if match.end() < block.end and not goes_on:
            ends.add(match.end())
    line = text.find("\n", block.start, block.end)
    is_code = _FENCE.match(text, block.start, block.end) is not None
    while line != -1:
        # The line break of a wrapped paragraph ends nothing; before a list item, a row or in code it does.
        if line + 1 < block.end and (is_code or _ITEM.match(text, line + 1, block.end)):
            ends.add(line + 1)
        line = text.find("\n", line + 1, block.end)
    return ends


def _chunk(text: str, block: Block, start: int, end: int) -> Chunk:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end = start + len(piece.strip())
    return Chunk(" › ".join(block.headings), text[start:end], start, end, block.asked)


def _words(text: str, block: Block) -> int:
    return len(text[block.start : block.end].split())
