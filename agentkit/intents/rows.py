"""Messages with their intents as lines of JSON: `{"text": str, "intent": str | null}`, null for out of scope."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from agentkit.errors import BotFileError
from agentkit.intents.examples import IntentExample

_FORM: Final = 'A line is {"text": "where is my order?", "intent": "track_order"}; null means out of scope.'
_MOST_ROWS: Final = 500_000
_LONGEST_LINE: Final = 1_000_000  # bytes
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str
    intent: str | None


def read_rows(path: Path | str) -> list[IntentExample]:
    """The messages of a JSON Lines file in UTF-8; empty lines are skipped, equal ones are all kept.

    Raises:
        BotFileError: The file cannot be read, changes meanwhile, is too large, holds no message, a line is none, or two
            intents differ in letter case only; names file and line.
    """
    path = Path(path)
    rows: list[IntentExample] = []
    spellings: dict[str, tuple[str, int]] = {}
    try:
        before = path.stat()
        for number, line in _lines(path):
            row = _row(path, number, line)
            if len(rows) == _MOST_ROWS:
                raise BotFileError(
                    f"holds more than {_MOST_ROWS:,} messages",
                    path=path,
                    line=number,
                    hint="Take a sample of it.",
                )
            if row.intent is not None:
                _check_spelling(path, number, row.intent, spellings)
            rows.append(row)
        after = path.stat()
    except OSError as error:
        raise BotFileError(
            f"cannot be read: {error.strerror or error}", path=path, hint="Name a JSON Lines file."
        ) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise BotFileError("was changed while it was read", path=path, hint="Run again when it is complete.")
    if not rows:
        raise BotFileError("holds no message", path=path, hint=_FORM)
    return rows


def without_repetitions(examples: list[IntentExample]) -> list[IntentExample]:
    """The examples, each only once: those that are equal to the letter count once in training."""
    return list(dict.fromkeys(examples))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        start = file.read(4)
        if start.startswith(_WIDE) or b"\0" in start:
            raise BotFileError(
                "is written in UTF-16 or UTF-32, not in UTF-8",
                path=path,
                line=1,
                hint=f"Convert it: iconv -f UTF-16 -t UTF-8 {path.name}",
            )
        file.seek(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)
        number = 0
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                raise BotFileError(
                    f"is longer than {_LONGEST_LINE:,} bytes", path=path, line=number, hint=_FORM
                )
            if line.strip():
                yield number, line


def _row(path: Path, number: int, line: bytes) -> IntentExample:
    try:
        # Not pydantic's own reader: it refuses lone surrogates, which a user's text may hold.
        row = _Row.model_validate(json.loads(line.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise BotFileError(f"is not UTF-8: {error}", path=path, line=number, hint=_FORM) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BotFileError(first["msg"], path=path, line=number, field=field or None, hint=_FORM) from error
    except (ValueError, RecursionError) as error:
        raise BotFileError(f"is no JSON: {error}", path=path, line=number, hint=_FORM) from error
    if not row.text.strip():
        raise BotFileError(
            "is empty", path=path, line=number, field="text", hint="Write it or remove the line."
        )
    if row.intent is not None and not row.intent.strip():
        raise BotFileError(
            "is blank", path=path, line=number, field="intent", hint="Use null for what is out of scope."
        )
    return IntentExample(row.text, row.intent)


def _check_spelling(path: Path, number: int, name: str, seen: dict[str, tuple[str, int]]) -> None:
    other, line = seen.setdefault(name.casefold(), (name, number))
    if other != name:
        raise BotFileError(
            f"`{name}` differs from `{other}` (line {line}) in letter case only",
            path=path,
            line=number,
            field="intent",
            hint="Use one spelling.",
        )
