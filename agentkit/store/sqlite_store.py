"""The store in one SQLite file. `protocol` says what it promises."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final

from agentkit.errors import StoreCorrupt
from agentkit.store import approval_rows, turn_reading
from agentkit.store.approval_rows import ApprovalRows
from agentkit.store.connection import Connection, WriteHook
from agentkit.store.conversation_rows import ConversationRows
from agentkit.store.failures import storable
from agentkit.store.file_rows import FileRows
from agentkit.store.identifiers import Clock, Ids, new_id, utc_now
from agentkit.store.knowledge_table import SqliteKnowledge
from agentkit.store.opening import open_connection
from agentkit.store.protocol import ApprovalRecord, KnowledgeTable, OpenTurn, UserStore
from agentkit.store.turn_reading import TURN_COLUMNS
from agentkit.store.turn_rows import TurnRows

_OPEN_TURNS: Final = TURN_COLUMNS + "WHERE turns.status = 'open' ORDER BY turns.number"


class SqliteUserStore(ConversationRows, TurnRows, ApprovalRows, FileRows):
    """Everything of one user; made by `SqliteStore.for_user` only."""


class SqliteStore:
    """A store in one file that threads of one process share and other processes may have open, too.

    Make it with `SqliteStore.open`.
    """

    def __init__(self, connection: Connection, clock: Clock, ids: Ids) -> None:
        self._connection = connection
        self._clock = clock
        self._ids = ids

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        clock: Clock = utc_now,
        ids: Ids = new_id,
        on_write: WriteHook | None = None,
        busy_timeout: float = 5.0,
    ) -> SqliteStore:
        """Open or create a database and bring its schema up to date.

        Args:
            path: The file; missing folders above it are created.
            clock: Gives the present time, aware and in UTC.
            ids: Gives new ids.
            on_write: Called at `before:NAME`, `inside:NAME` and `after:NAME` of every write, for crash tests.
            busy_timeout: Seconds to wait for another process's write before `StoreLocked`.

        Raises:
            StoreCorrupt: The file is not a sound agentkit database; says what it is.
            StoreError: The path cannot be used, or this SQLite is too old.
            StoreLocked: Another process holds the file.
            StoreReadOnly: The file or its folder cannot be written.
            StoreTooNew: A newer agentkit wrote it; it is left as it is.
        """
        connection = open_connection(Path(path), busy_timeout=busy_timeout, on_write=on_write)
        return cls(connection, clock, ids)

    def for_user(self, tenant: str, user: str) -> UserStore:
        """The only way to anybody's data."""
        whose = storable(tenant, "the tenant's name"), storable(user, "the user's name")
        return SqliteUserStore(self._connection, *whose, self._clock, self._ids)

    def open_turns(self) -> list[OpenTurn]:
        """Every accepted turn that is not committed, of all users, in the order they were accepted."""
        with self._connection.reading():
            rows = self._connection.rows(_OPEN_TURNS)
            return [turn_reading.load_open_turn(self._connection, row) for row in rows]

    def waiting_approvals(self) -> list[ApprovalRecord]:
        """Every request that waits for a person, of all users, oldest first."""
        with self._connection.reading():
            return approval_rows.waiting_of(self._connection)

    def knowledge(self, tenant: str, collection: str = "knowledge") -> KnowledgeTable:
        """The documents of a tenant under one name."""
        return SqliteKnowledge(self._connection, tenant, collection, self._clock)

    def problems(self) -> list[str]:
        """What SQLite finds wrong with the file, page by page and row by row; empty when it is sound.

        It reads the whole file: for `doctor`, not for every start.
        """
        try:
            with self._connection.reading():
                pages = [str(row[0]) for row in self._connection.rows("PRAGMA integrity_check")]
                orphans = self._connection.rows("PRAGMA foreign_key_check")
        except StoreCorrupt as damage:  # too bad even to be checked
            return [damage.message]
        lost = [f"row {row[1]} of table {row[0]} refers to a missing row of {row[2]}" for row in orphans]
        return [page for page in pages if page != "ok"] + lost

    def close(self) -> None:
        """Close the store; closing twice is harmless."""
        self._connection.close()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
