"""One connection that the threads of a process share: a lock, explicit transactions, translated errors.

One connection and one lock are the simplest thing that is right: SQLite has one writer at a time anyway,
reads take microseconds, and a `reading` block sees one snapshot. Other processes have connections of their
own; the write-ahead log lets them read while this one writes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from sqlite_utils import Database

from agentkit.errors import StoreError
from agentkit.store.driver import sqlite3
from agentkit.store.failures import translate

Row: TypeAlias = sqlite3.Row
Values: TypeAlias = Sequence[Any] | dict[str, Any]
"""What is bound to the places of a statement, by position or by name."""

WriteHook: TypeAlias = Callable[[str], None]
"""Called with `before:NAME`, `inside:NAME` (just before COMMIT) and `after:NAME` of every write."""


class Connection:
    """A guarded `sqlite_utils.Database`.

    Args:
        database: Its connection has `isolation_level` None, so that nothing opens a transaction by itself.
        path: The file, for error messages.
        on_write: Hook of the crash tests.
    """

    def __init__(self, database: Database, path: Path, on_write: WriteHook | None = None) -> None:
        self.database = database
        self.path = path
        self._on_write = on_write
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._closed = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A block that sees one state of the database; it may be nested."""
        with self._lock:
            self._check_usable()
            with self._translated():
                if self.database.conn.in_transaction:
                    yield
                    return
                self.database.execute("BEGIN")
                try:
                    yield
                finally:
                    self._roll_back()

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """A block whose writes are durable together when it ends, and undone when it raises.

        Args:
            name: What is written, for the hook.

        Raises:
            StoreLocked: Another process kept its write transaction open for longer than the busy timeout.
        """
        with self._lock:
            self._check_usable()
            self._report(f"before:{name}")
            with self._translated():
                # IMMEDIATE takes the write lock first: a deferred transaction that reads and then writes
                # fails at once, without waiting, when another process wrote in between.
                self.database.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._report(f"inside:{name}")
                    self.database.execute("COMMIT")
                finally:
                    self._roll_back()
            self._report(f"after:{name}")

    @contextmanager
    def trying_to_write(self) -> Iterator[None]:
        """A block whose writes are always undone: tells whether the file can be written, without an fsync."""
        with self._lock, self._translated():
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                self._roll_back()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block outside of any transaction and without other threads: for VACUUM and checkpoints."""
        with self._lock:
            self._check_usable()
            with self._translated():
                yield

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """All rows of a query; inside `reading` or `writing`."""
        return self.database.execute(sql, values).fetchall()

    def row(self, sql: str, values: Values = ()) -> Row | None:
        """The first row of a query, if there is one; inside `reading` or `writing`."""
        found: Row | None = self.database.execute(sql, values).fetchone()
        return found

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run a statement inside `writing` and return the key of the row that it inserted last."""
        return self.database.execute(sql, values).lastrowid or 0

    def execute_many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each sequence of values; inside `writing`."""
        self.database.conn.executemany(sql, values)

    def close(self) -> None:
        """Close the connection; the last one to close moves the write-ahead log into the file."""
        with self._lock:
            if not self._closed and self._process == os.getpid():
                self._closed = True
                with self._translated():
                    self.database.close()

    def _check_usable(self) -> None:
        if self._closed:
            raise StoreError(f"The store {self.path} is closed.", hint="Open it again.")
        if self._process != os.getpid():
            # The locks of SQLite belong to a process: a connection carried over a fork corrupts the file.
            raise StoreError(
                f"The store {self.path} was opened by process {self._process} and this is {os.getpid()}.",
                hint="Open the store after forking, once in each process.",
            )

    def _report(self, point: str) -> None:
        if self._on_write is not None:
            self._on_write(point)

    def _roll_back(self) -> None:
        if self.database.conn.in_transaction:
            self.database.execute("ROLLBACK")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
