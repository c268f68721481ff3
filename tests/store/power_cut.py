"""A disk that can lose its power: SQLite writes through a VFS of apsw, which remembers what was never synced.

The store runs on apsw's SQLite instead of pysqlite3's, through a few lines that look like `sqlite3`. At chosen
operations an image of the disk is taken as it would be found after a power cut: every file as it was at its last sync,
plus a random part of the sectors that were written since, in any order.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import apsw
import pytest
from sqlite_utils import Database

from agentkit.store import opening
from agentkit.store.driver import sqlite3
from agentkit.store.sqlite_store import SqliteStore

_SECTOR: Final = 512  # bytes that a disk writes whole or not at all
_VFS: Final = "power-cut"


@dataclass
class Disk:
    """What is durable and what is not.

    Args:
        cuts: Numbers of the operations after which an image is taken.
        seed: Decides which sectors reached the disk.
        failing: Numbers of the operations that fail with an I/O error.
    """

    cuts: frozenset[int]
    seed: int = 0
    failing: frozenset[int] = frozenset()
    operations: int = 0
    durable: dict[str, bytearray] = field(default_factory=dict)
    pending: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    images: list[tuple[dict[str, bytes], tuple[str, ...]]] = field(default_factory=list)

    def load(self, folder: Path) -> None:
        """Take the files of a folder as they are: all of it is durable."""
        for path in folder.iterdir():
            self.durable[str(path)] = bytearray(path.read_bytes())

    def write(self, path: str, offset: int, data: bytes) -> None:
        """A write that is not synced yet, cut into sectors."""
        sectors = self.pending.setdefault(path, [])
        for start in range(0, len(data), _SECTOR):
            sectors.append((offset + start, bytes(data[start : start + _SECTOR])))
        self._operated()

    def truncate(self, path: str, size: int) -> None:
        """A file got shorter; taken as durable at once, as it is on journaling file systems."""
        self.sync(path)
        del self.durable[path][size:]

    def sync(self, path: str) -> None:
        """Everything written to a file is durable."""
        content = self.durable.setdefault(path, bytearray())
        for offset, data in self.pending.pop(path, []):
            _put(content, offset, data)
        self._operated()

    def delete(self, path: str) -> None:
        """A file is gone."""
        self.durable.pop(path, None)
        self.pending.pop(path, None)
        self._operated()

    def fail_if_due(self) -> None:
        """Fail the operation that comes now, if it is to fail."""
        if self.operations + 1 in self.failing:
            self.operations += 1
            raise apsw.IOError("the disk does not answer")

    def _operated(self) -> None:
        self.operations += 1
        if self.operations in self.cuts:
            self.images.append((self._image(), tuple(self.acknowledged)))

    def _image(self) -> dict[str, bytes]:
        dice = random.Random(self.seed * 1_000_003 + self.operations)
        image = {path: bytearray(content) for path, content in self.durable.items()}
        for path, sectors in self.pending.items():
            content = image.setdefault(path, bytearray())
            share = dice.choice((0.0, 0.5, 1.0))  # nothing arrived, a part, all of it
            for offset, data in sectors:
                if dice.random() < share:
                    _put(content, offset, data)
        return {path: bytes(content) for path, content in image.items() if not path.endswith("-shm")}


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset + len(data):
        content.extend(bytes(offset + len(data) - len(content)))
    content[offset : offset + len(data)] = data


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._path = name if isinstance(name, str) or name is None else name.filename()
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.fail_if_due()
        super().xWrite(data, offset)
        if self._path:
            self._disk.write(str(self._path), offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        if self._path:
            self._disk.truncate(str(self._path), size)

    def xSync(self, flags: int) -> None:
        self._disk.fail_if_due()
        # Nothing is synced in earnest: the disk of this test is in `durable`.
        if self._path:
            self._disk.sync(str(self._path))


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__(_VFS, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._disk.delete(filename)


class _Row(tuple[Any, ...]):
    """A row with names, as `sqlite3.Row` has them."""

    names: tuple[str, ...]

    def keys(self) -> tuple[str, ...]:
        return self.names

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.names.index(key) if isinstance(key, str) else key)


class _Cursor:
    description = None

    def __init__(self, rows: list[_Row], lastrowid: int) -> None:
        self._rows = rows
        self.lastrowid = lastrowid

    def fetchall(self) -> list[_Row]:
        return self._rows

    def fetchone(self) -> _Row | None:
        return self._rows[0] if self._rows else None

    def __iter__(self) -> Iterator[_Row]:
        return iter(self._rows)


class _Connection:
    """An apsw connection that is used like one of `sqlite3`; reader and writer share it, for there is one thread."""

    row_factory: object = None

    def __init__(self, inner: apsw.Connection) -> None:
        self._inner = inner

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def execute(self, sql: str, values: Any = ()) -> _Cursor:
        if "query_only" in sql:
            return _Cursor([], 0)
        try:
            cursor = self._inner.execute(sql, values)
            rows = []
            for values in cursor:
                row = _Row(values)
                row.names = tuple(each[0] for each in cursor.get_description())
                rows.append(row)
        except apsw.Error as error:
            problem = sqlite3.OperationalError(str(error))
            problem.sqlite_errorcode = 10 if isinstance(error, apsw.IOError) else 1
            raise problem from error
        return _Cursor(rows, self._inner.last_insert_rowid())

    def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        self._inner.executemany(sql, values)

    def set_progress_handler(self, handler: object, steps: int) -> None:
        """The file is small: it is checked to the end."""

    def close(self) -> None:
        self._inner.close()


@contextmanager
def store_on(disk: Disk, path: Path, synchronous: str) -> Iterator[SqliteStore]:
    """A store whose SQLite writes to a `Disk`.

    Args:
        disk: Has the contents of the folder of `path` already.
        path: A database that was made before.
        synchronous: The setting of SQLite.
    """
    vfs = _Vfs(disk)
    inner = apsw.Connection(str(path), vfs=_VFS)
    # apsw passes no shared memory through to its VFS; without it a log needs the file for itself.
    inner.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection = _Connection(inner)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "_inspect", lambda *_: None)
        database = Database(connection, recursive_triggers=False)  # type: ignore[arg-type]
        patch.setattr(opening, "_connect", lambda *_: database)
        pragmas = (*opening._PRAGMAS, f"PRAGMA synchronous = {synchronous}", "PRAGMA wal_autocheckpoint = 20")
        patch.setattr(opening, "_PRAGMAS", pragmas)
        store = SqliteStore.open(path)
        try:
            yield store
        finally:
            store.close()
            vfs.unregister()
