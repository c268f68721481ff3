"""From a file to text: its bytes at one moment, in their encoding, or a message about what is wrong."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import Final

from agentkit.errors import BotFileError

LONGEST: Final = 256 * 1024 * 1024  # bytes of a PDF, which may hold pictures
LONGEST_TEXT: Final = 16 * 1024 * 1024  # bytes of text: four thousand pages
_ATTEMPTS: Final = 3

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_bytes(path: Path, longest: int) -> bytes:
    """The content of a file as it was at one moment.

    Args:
        path: The file.
        longest: Most bytes.

    Raises:
        BotFileError: It is missing, cannot be read, is too long, or changes whenever it is read.
    """
    try:
        for _ in range(_ATTEMPTS):
            with path.open("rb") as stream:
                before = os.fstat(stream.fileno())
                if before.st_size > longest:
                    raise BotFileError(
                        f"the file has {before.st_size / 2**20:,.0f} MB, which is more than {longest >> 20} MB",
                        path=path,
                        hint="Cut it into several files.",
                    )
                content = stream.read(before.st_size + 1)
                after = os.fstat(stream.fileno())
            same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
            if same and len(content) == after.st_size:
                return content
    except OSError as problem:
        raise BotFileError(
            f"cannot be read: {problem.strerror}", path=path, hint="Check the file and its permissions."
        ) from problem
    raise BotFileError(
        f"the file changed each of the {_ATTEMPTS} times that it was read",
        path=path,
        hint="Something writes to it; try again when it is finished.",
    )


def decode(content: bytes, path: Path, encoding: str | None = None) -> str:
    """The text of a file, with `\\n` at the end of its lines.

    A byte order mark decides, then `encoding`, else it must be UTF-8: a guess would be wrong without a word.

    Args:
        content: All of it.
        path: The file, for the message.
        encoding: What the user or the file itself says.

    Raises:
        BotFileError: It is no text in this encoding; names the line.
    """
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    chosen = marked or encoding or "utf-8"
    try:
        text = content.decode(chosen)
    except LookupError as problem:
        raise BotFileError(
            f"there is no encoding {chosen!r}", path=path, hint="For example utf-8, cp1252 or utf-16-le."
        ) from problem
    except UnicodeError as problem:
        place = problem.start if isinstance(problem, UnicodeDecodeError) else 0
        raise BotFileError(
            f"is no {chosen.upper()} text (byte {place})",
            path=path,
            line=content.count(b"\n", 0, place) + 1,
            hint="Save it as UTF-8, or say what it is: --encoding cp1252 for old Windows files.",
        ) from problem
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise BotFileError(
            "is no text: it holds NUL characters",
            path=path,
            line=line,
            hint="Save it as UTF-8; a file in UTF-16 without a byte order mark needs --encoding utf-16-le.",
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")
