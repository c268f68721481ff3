"""Two connections that the threads of a process share, one to write and one to read: locks, explicit transactions,
translated errors.

SQLite has one writer at a time, and what takes long in a write is the disk. So writes that come while another one is
on its way to the disk become durable together with the next one (group commit): each is a savepoint of a transaction
that the last of them commits, and none returns before that. A `reading` block sees one state, and only what is durable:
it has a connection of its own. Other processes have theirs; the write-ahead log lets all of them read meanwhile.
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
from agentkit.store.group_commit import GroupCommit, roll_back
from agentkit.store.patience import begin_writing

Row: TypeAlias = sqlite3.Row
Values: TypeAlias = Sequence[Any] | dict[str, Any]
"""What is bound to the places of a statement, by position or by name."""

WriteHook: TypeAlias = Callable[[str], None]
"""Called with `before:NAME`, `inside:NAME` (just before COMMIT) and `after:NAME` of every write."""


class Connection:
    """Two guarded `sqlite_utils.Database`s on one file.

    Args:
        database: Writes. Its connection has `isolation_level` None, so that nothing opens a transaction by itself.
        reader: Reads, on a connection of its own.
        path: The file.
        patience: Seconds to wait for writes of other processes.
        on_write: Hook of the crash tests.
    """

    def __init__(
        self,
        database: Database,
        reader: Database,
        path: Path,
        patience: float,
        on_write: WriteHook | None = None,
    ) -> None:
        self.database = database
        self.path = path
        self.patience = patience
        self._reader = reader
        self._on_write = on_write
        self._writes = GroupCommit(database, path, patience)
        self._reading = threading.RLock()
        self._mine = threading.local()  # which connection the present thread has in use
        self._process = os.getpid()
        self._closed = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A block that sees one durable state of the database; inside another block, what that one sees."""
        if self._in_use() is not None:
            yield
            return
        with self._reading:
            self._check_usable()
            with self._translated(), self._using(self._reader):
                self._reader.conn.execute("BEGIN")
                try:
                    yield
                finally:
                    roll_back(self._reader)

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """A block whose writes are durable together when it ends, and undone when it raises.

        Args:
            name: What is written, for the hook.

        Raises:
            StoreLocked: Another process kept its write transaction open for longer than `patience`.
        """
        self._report(f"before:{name}")
        with self._translated(), self._writes.write(self._check_usable), self._using(self.database):
            yield
            self._report(f"inside:{name}")
        self._report(f"after:{name}")

    def set_up_reader(self, pragmas: Iterable[str]) -> None:
        """Run pragmas on the connection that reads."""
        with self._translated():
            for pragma in pragmas:
                self._reader.execute(pragma)

    @contextmanager
    def trying_to_write(self) -> Iterator[None]:
        """A block whose writes are always undone: tells what would be, or whether the file can be written."""
        with self.alone():
            begin_writing(self.database, self.path, self.patience)
            try:
                yield
            finally:
                roll_back(self.database)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block outside of any transaction and without other threads: for VACUUM and checkpoints."""
        with self._writes.alone(), self._reading, self._translated(), self._using(self.database):
            self._check_usable()
            yield

    def living(self) -> Iterator[tuple[Any, ...]]:
        """Every row of every table; inside `reading`."""
        for table in self._present().tables:
            for row in table.rows:
                yield tuple(row.values())

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """All rows of a query; inside `reading` or `writing`."""
        return self._present().conn.execute(sql, values).fetchall()

    def row(self, sql: str, values: Values = ()) -> Row | None:
        """The first row of a query, if there is one; inside `reading` or `writing`."""
        found: Row | None = self._present().conn.execute(sql, values).fetchone()
        return found

    def read(self, sql: str, values: Values = ()) -> list[Row]:
        """All rows of a query, in a block of its own: one statement sees one state without a transaction."""
        if self._in_use() is not None:
            return self.rows(sql, values)
        with self._reading, self._translated():
            self._check_usable()
            return self._reader.conn.execute(sql, values).fetchall()

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run a statement inside `writing` and return the key of the row that it inserted last."""
        return self._present().conn.execute(sql, values).lastrowid or 0

    def execute_many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each sequence of values; inside `writing`."""
        self._present().conn.executemany(sql, values)

    def close(self) -> None:
        """Close the connections; the last one to close moves the write-ahead log into the file."""
        with self._writes.lock, self._reading:
            if not self._closed and self._process == os.getpid():
                self._closed = True
                with self._translated():
                    self._reader.close()
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

    def _in_use(self) -> Database | None:
        return getattr(self._mine, "database", None)

    def _present(self) -> Database:
        database = self._in_use()
        assert database is not None, "statements run inside `reading` or `writing`"
        return database

    @contextmanager
    def _using(self, database: Database) -> Iterator[None]:
        before = self._in_use()
        self._mine.database = database
        try:
            yield
        finally:
            self._mine.database = before

    def _report(self, point: str) -> None:
        if self._on_write is not None:
            self._on_write(point)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
