"""Several writes share one commit, and with it one wait for the disk.

A write that comes while another one is on its way to the disk becomes durable together with those that come meanwhile:
each is a savepoint of one transaction, which the last of them commits. None returns before it is on the disk, and what
one of them undoes leaves the others alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from agentkit.errors import StoreError
from agentkit.store.driver import sqlite3
from agentkit.store.failures import translate
from agentkit.store.patience import begin_writing

_LARGEST_GROUP: Final = 64  # writes of one commit; then other processes get a chance to write
_PATIENCE: Final = 0.1  # seconds after which a member of a group looks whether somebody is left to commit it


class _Group:
    """Writes that become durable together, or fail together."""

    def __init__(self) -> None:
        self.size = 0
        self.error: StoreError | None = None
        self._waiting: list[threading.Lock] = []

    def waiting(self) -> threading.Lock:
        """What a member acquires to wait for the end; the lock of the writer is held."""
        gate = threading.Lock()
        gate.acquire()
        self._waiting.append(gate)
        return gate

    def end(self, error: StoreError | None = None) -> None:
        """Tell the members how it went; the lock of the writer is held."""
        self.error = error
        for gate in self._waiting:
            gate.release()


class GroupCommit:
    """The writes of one connection, whose `isolation_level` is None.

    Args:
        database: Writes; `lock` guards it.
        path: The file.
        patience: Seconds to wait for other processes.
    """

    def __init__(self, database: Database, path: Path, patience: float) -> None:
        self.lock = threading.RLock()
        self._database = database
        self._path = path
        self._patience = patience
        self._counting = threading.Lock()
        self._waiting = 0  # threads that want to write
        self._group: _Group | None = None

    @contextmanager
    def write(self, check: Callable[[], None]) -> Iterator[None]:
        """A block whose writes are durable when it ends, and undone when it raises.

        Args:
            check: Called with the lock held, before anything is begun.
        """
        with self._turn_to_write():
            check()
            try:
                group = self._group or self._begin()
                with self._member(group):
                    yield
            finally:
                self._commit_if_last()
            gate = group.waiting() if self._group is group else None
        self._wait_for(group, gate)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block outside of any transaction, in which nobody else writes."""
        with self.lock:
            if self._group is not None:
                self._commit(self._group)
            yield

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        with self._counting:
            self._waiting += 1
        try:
            self.lock.acquire()
        finally:  # also after Ctrl-C: who does not come may not be waited for
            with self._counting:
                self._waiting -= 1
        try:
            yield
        finally:
            self.lock.release()

    def _begin(self) -> _Group:
        begin_writing(self._database, self._path, self._patience)
        self._group = _Group()
        return self._group

    @contextmanager
    def _member(self, group: _Group) -> Iterator[None]:
        """One write of a group: what it wrote is undone when it raises, what others wrote is kept."""
        first = group.size == 0
        if not first:
            self._database.conn.execute("SAVEPOINT member")
        try:
            yield
        except BaseException as problem:
            if not self._database.conn.in_transaction:  # SQLite undid everything: a full disk does that
                error = translate(problem, self._path) if isinstance(problem, sqlite3.Error) else None
                self._end(
                    group, error or StoreError(f"{self._path}: this write was undone.", hint="Try again.")
                )
            elif first:
                roll_back(self._database)
                self._end(group)
            else:
                self._database.conn.execute("ROLLBACK TO member")
                self._database.conn.execute("RELEASE member")
            raise
        if not first:
            self._database.conn.execute("RELEASE member")
        group.size += 1

    def _commit_if_last(self) -> None:
        """Commit the group unless somebody waits who will; the lock of the writer is held."""
        group = self._group
        if group is not None and (not self._waiting or group.size >= _LARGEST_GROUP):
            self._commit(group)

    def _commit(self, group: _Group) -> None:
        error: StoreError | None = StoreError(f"{self._path}: the write was interrupted.", hint="Try again.")
        try:
            self._database.conn.execute("COMMIT")
            error = None
        except sqlite3.Error as problem:
            error = translate(problem, self._path)
        finally:
            roll_back(self._database)
            self._end(group, error)

    def _end(self, group: _Group, error: StoreError | None = None) -> None:
        self._group = None
        group.end(error)

    def _wait_for(self, group: _Group, gate: threading.Lock | None) -> None:
        """Wait until the group is on the disk; without a gate it is."""
        while gate is not None and not gate.acquire(timeout=_PATIENCE):
            with self.lock:
                if self._group is group:
                    self._commit_if_last()
        if group.error is not None:
            raise type(group.error)(group.error.message, hint=group.error.hint)


def roll_back(database: Database) -> None:
    """Undo the transaction, if there is one."""
    if database.conn.in_transaction:
        database.conn.execute("ROLLBACK")
