"""The text of a PDF, page by page: "page 3" is its heading, below the chapter that the outline names."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError

from agentkit.errors import BotFileError
from agentkit.knowledge.chunking import Block, paragraphs

# What a damaged file makes pypdf stumble over, besides its own errors: its structure is read as it is.
_DAMAGE: Final = (
    PyPdfError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    RecursionError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
)


def pdf_blocks(content: bytes, path: Path) -> tuple[str, list[Block]]:
    """The text of all pages and its blocks.

    Args:
        content: The file.
        path: Its name, for messages.

    Raises:
        BotFileError: It is encrypted, damaged, or holds no text.
    """
    # It warns of every small fault; what matters becomes an error here.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    page = 0
    text = ""
    blocks: list[Block] = []
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted:
            _decrypt(reader, path)
        chapters = _chapters(reader)
        for page, sheet in enumerate(reader.pages, start=1):
            said = _clean(sheet.extract_text())
            start = len(text)
            text += said + "\n\n"
            above = [name for first, name in chapters if first <= page][-1:]
            blocks += paragraphs(text, (*above, f"page {page}"), start, len(text))
    except DependencyError as problem:
        raise BotFileError(
            "is encrypted with AES, which needs another package",
            path=path,
            hint="pip install cryptography, or save a copy without a password and add that instead.",
        ) from problem
    except _DAMAGE as problem:
        where = f" on page {page}" if page else ""
        raise BotFileError(
            f"is no PDF that can be read: {type(problem).__name__}{where}: {problem}",
            path=path,
            hint="Open it and save it anew as PDF, or as text.",
        ) from problem
    if not blocks:
        raise BotFileError(
            f"holds no text on its {page} pages: it was probably scanned",
            path=path,
            hint="Run text recognition (OCR) over it first, for example with ocrmypdf.",
        )
    return text, blocks


def _decrypt(reader: PdfReader, path: Path) -> None:
    """Open a file that only forbids printing, say: its password is empty."""
    try:
        opened = bool(reader.decrypt(""))
    except PyPdfError:
        opened = False
    if not opened:
        raise BotFileError(
            "is encrypted", path=path, hint="Save a copy without a password and add that instead."
        )


def _chapters(reader: PdfReader) -> list[tuple[int, str]]:
    """The top level of the outline: first page, counted from one, and title; in the order of the pages."""
    try:
        found = list(_outlined(reader, reader.outline))
    except _DAMAGE:  # the pages can be read without it
        return []
    return sorted(found, key=lambda chapter: chapter[0])


def _outlined(reader: PdfReader, outline: Sequence[Any]) -> Iterator[tuple[int, str]]:
    for entry in outline:
        if not isinstance(entry, list):
            number = reader.get_destination_page_number(entry)
            if number is not None and number >= 0 and entry.title:
                yield number + 1, " ".join(str(entry.title).split())


def _clean(text: str) -> str:
    """Text that can be stored: no NUL, no half of a surrogate pair, no spaces at the ends of lines."""
    whole = text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "\n".join(line.rstrip() for line in whole.splitlines()).strip()
