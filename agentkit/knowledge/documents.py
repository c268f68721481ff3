"""From files to documents: which kinds there are, how each is read, and what its chunks are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentkit.errors import BotFileError
from agentkit.knowledge.chunking import VERSION, Chunk, chunk_blocks, chunk_markdown, chunk_text
from agentkit.knowledge.decoding import LONGEST, LONGEST_TEXT, decode, read_bytes

if TYPE_CHECKING:
    from agentkit.store.knowledge_records import DocumentKind

_MARKDOWN: Final = (".md", ".markdown")
_HTML: Final = (".html", ".htm", ".xhtml")
_PAIRS: Final = (".csv", ".tsv")
SUFFIXES: Final = (*_MARKDOWN, ".txt", *_HTML, ".pdf", *_PAIRS)
"""What is taken from a folder; a single file may have any other ending and is then read as plain text."""


@dataclass(frozen=True)
class SourceDocument:
    """A file, read and cut.

    Args:
        name: What the document is called.
        path: The file.
        content_hash: Of the bytes, and of everything else that decides about the chunks.
        chunks: Its pieces, in order.
        kind: Text, or question/answer pairs.
    """

    name: str
    path: Path
    content_hash: str
    chunks: tuple[Chunk, ...]
    kind: DocumentKind


def files_of(sources: Sequence[Path]) -> dict[str, Path]:
    """Every document by its name, which is relative to its source folder, in a stable order.

    Args:
        sources: Folders (all files below them whose ending is known) and files.

    Raises:
        BotFileError: A source is missing, or two documents have the same name.
    """
    files: dict[str, Path] = {}
    for source in sources:
        for name, path in _below(source):
            if name in files:
                raise BotFileError(
                    f"the knowledge has another document named `{name}`: {files[name]}",
                    path=path,
                    hint="Rename one of them.",
                )
            files[name] = path
    return files


def read_content(path: Path) -> bytes:
    """The bytes of a document.

    Raises:
        BotFileError: It cannot be read, is too long, or changes while it is read.
    """
    return read_bytes(path, LONGEST if path.suffix.lower() == ".pdf" else LONGEST_TEXT)


def digest_of(content: bytes, encoding: str | None) -> str:
    """What has to change for a document to be cut and embedded anew."""
    return hashlib.sha256(f"{VERSION}\n{encoding or ''}\n".encode() + content).hexdigest()


def cut(name: str, path: Path, content: bytes, encoding: str | None = None) -> SourceDocument:
    """A document of the content of its file.

    Args:
        name: What the document is called.
        path: The file; its ending says what it is.
        content: Its bytes.
        encoding: Of text files without a byte order mark; None: UTF-8, or what an HTML page says.

    Raises:
        BotFileError: It is not what its ending says; names file and line.
    """
    suffix = path.suffix.lower()
    kind: DocumentKind = "pairs" if suffix in _PAIRS else "text"
    chunks = tuple(_chunks(content, path, suffix, encoding))
    return SourceDocument(name, path, digest_of(content, encoding), chunks, kind)


def _chunks(content: bytes, path: Path, suffix: str, encoding: str | None) -> list[Chunk]:
    # The libraries are imported where they are needed: most bots have neither PDF nor HTML.
    if suffix == ".pdf":
        from agentkit.knowledge.pdf_text import pdf_blocks

        return chunk_blocks(*pdf_blocks(content, path))
    if suffix in _HTML:
        from agentkit.knowledge.html_text import declared_encoding, html_blocks

        return chunk_blocks(*html_blocks(decode(content, path, encoding or declared_encoding(content))))
    text = decode(content, path, encoding)
    if suffix in _PAIRS:
        from agentkit.knowledge.pairs import read_pairs

        return read_pairs(text, path)
    return chunk_markdown(text) if suffix in _MARKDOWN else chunk_text(text)


def _below(source: Path) -> Iterator[tuple[str, Path]]:
    if source.is_file():
        yield source.name, source
        return
    if not source.is_dir():
        raise BotFileError("there is no such file or folder", path=source, hint="Check the name.")
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden:
            yield name.as_posix(), path
