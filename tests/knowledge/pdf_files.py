"""Real PDF files: written by pypdf, with text that is drawn by a content stream."""

from __future__ import annotations

import io
from collections.abc import Sequence

from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject


def pdf(
    pages: Sequence[str],
    *,
    chapters: Sequence[str] = (),
    password: str | None = None,
    algorithm: str = "RC4-128",
) -> bytes:
    """A PDF.

    Args:
        pages: The text of each, a line a line.
        chapters: Entries of the outline, one for each of the first pages.
        password: Encrypts it.
        algorithm: How; RC4 needs no package beside pypdf.
    """
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(300, 300)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        stream = DecodedStreamObject()
        shown = "".join(f"({line}) Tj T* " for line in text.split("\n"))
        stream.set_data(f"BT /F1 12 Tf 14 TL 20 280 Td {shown} ET".encode("latin-1"))
        page[NameObject("/Contents")] = stream
    for number, chapter in enumerate(chapters):
        writer.add_outline_item(title=chapter, page_number=number)
    if password is not None:
        writer.encrypt(password, algorithm=algorithm)
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()
