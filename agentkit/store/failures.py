"""What SQLite reports, in agentkit's words: which file, what is wrong with it, what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from agentkit.errors import InputRejected, StoreCorrupt, StoreError, StoreLocked, StoreReadOnly
from agentkit.store.driver import sqlite3

ModelT = TypeVar("ModelT", bound=BaseModel)

# Primary result codes, https://sqlite.org/rescode.html
_READ_ONLY: Final = 8
_CORRUPT: Final = 11
_SALVAGE: Final = (
    "Keep it and its -wal file. Restore a backup, or save what is readable: agentkit doctor --recover {path}"
)
_CANNOT_OPEN: Final = 14
_UNDECODABLE: Final = "Could not decode to UTF-8"  # raised by the driver, so it has no code

_LOCKED: Final = (
    StoreLocked,
    "{path} is locked: another process is writing to it.",
    "Try again, or close the other program that uses the file. `busy_timeout` says how long to wait.",
)
_EXPLANATIONS: Final[dict[int, tuple[type[StoreError], str, str]]] = {
    5: _LOCKED,
    6: _LOCKED,
    10: (
        StoreError,
        "{path} could not be read or written: {error}. This write was undone.",
        "Look for a full disk, a file size limit (`ulimit -f`) or a failing drive.",
    ),
    _CORRUPT: (
        StoreCorrupt,
        "{path} is damaged: {error}.",
        _SALVAGE,
    ),
    13: (
        StoreError,
        "{path} cannot grow: the disk is full. What was stored before is safe; this write was undone.",
        "Free some space and try again.",
    ),
    _CANNOT_OPEN: (
        StoreError,
        "{path} cannot be opened.",
        "Check that you may read the file and write to its folder.",
    ),
    26: (
        StoreCorrupt,
        "{path} is not a SQLite database.",
        "Give the path of an agentkit database, or of a file that does not exist yet.",
    ),
}
_UNEXPLAINED: Final = (StoreError, "{path}: SQLite reports: {error}.", "")


def translate(error: sqlite3.Error, path: Path) -> StoreError:
    """The error of agentkit for an error of SQLite.

    Args:
        error: What SQLite raised.
        path: The database file.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    if code == _READ_ONLY or (code == _CANNOT_OPEN and path.exists() and not _writable(path)):
        return read_only(path)
    if str(error).startswith(_UNDECODABLE):
        code = _CORRUPT
    kind, message, hint = _EXPLANATIONS.get(code, _UNEXPLAINED)
    return kind(message.format(path=path, error=error), hint=hint.format(path=path))


def damaged(path: Path, what: str) -> StoreCorrupt:
    """The error for a file with damaged pages; `what` was found."""
    return StoreCorrupt(f"{path} is damaged: {' '.join(what.split())}.", hint=_SALVAGE.format(path=path))


def read_only(path: Path) -> StoreReadOnly:
    """The error for a file or folder that cannot be written."""
    return StoreReadOnly(
        f"{path} cannot be written: the file, its folder or the file system is read-only.",
        hint=f"Give this user the right to write {path} and its folder, or choose another path.",
    )


def validated(model: type[ModelT], table: str, row: object, values: dict[str, object]) -> ModelT:
    """A record made of a row, or a clear refusal.

    Args:
        model: A closed model.
        table: Where the row is from.
        row: What identifies it.
        values: The fields.

    Raises:
        StoreCorrupt: The values do not fit.
    """
    try:
        return model.model_validate(values)
    except ValidationError as problem:
        raise poisoned(table, row, problem) from problem


def poisoned(table: str, row: object, problem: ValidationError) -> StoreCorrupt:
    """The error for a row that holds something else than agentkit writes there."""
    first = problem.errors(include_url=False, include_input=False)[0]
    wrong = ": ".join([*(str(part) for part in first["loc"]), first["msg"]])
    return StoreCorrupt(
        f"Row {row} of table {table} is not what agentkit writes: {wrong}.",
        hint="The file was changed by something else or is damaged; restore it from a backup.",
    )


def storable(text: str, what: str) -> str:
    """`text`, if it can be stored.

    Args:
        text: Any string.
        what: What it is, for the error.

    Raises:
        InputRejected: It holds a lone surrogate, which is no character and has no UTF-8 form.
    """
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        raise unstorable(what) from problem
    return text


def unstorable(what: str) -> InputRejected:
    """The error for text that has no UTF-8 form."""
    return InputRejected(
        f"The text of {what} holds a lone surrogate, which is no character. Nothing was stored.",
        hint="Decode the text with errors='replace' before it is stored.",
    )


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
