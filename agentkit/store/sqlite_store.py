"""The store in one SQLite file. `protocol` says what it promises."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from agentkit.errors import StoreCorrupt
from agentkit.store import approval_rows, hand_off_rows, past_rows, turn_reading
from agentkit.store.approval_rows import ApprovalRows
from agentkit.store.connection import Connection, WriteHook
from agentkit.store.conversation_rows import ConversationRows
from agentkit.store.erasure import Eraser
from agentkit.store.erasure_records import ErasedKinds, ErasureReceipt, Retention
from agentkit.store.failures import storable, validated
from agentkit.store.file_rows import FileRows
from agentkit.store.hand_off_records import HandOffRecord
from agentkit.store.hand_off_rows import HandOffRows
from agentkit.store.identifiers import Clock, Ids, new_id, utc_now
from agentkit.store.knowledge_table import SqliteKnowledge
from agentkit.store.opening import open_connection
from agentkit.store.protocol import ApprovalRecord, KnowledgeTable, OpenTurn, UserStore
from agentkit.store.records import ConversationKey, Lease, PastTurn
from agentkit.store.turn_reading import TURN_COLUMNS
from agentkit.store.user_rows import Sources, is_held
from agentkit.store.workers import this_worker

_OPEN_TURNS: Final = TURN_COLUMNS + "WHERE turns.status = 'open' ORDER BY turns.number"


_REMEMBERED_USERS: Final = "SELECT DISTINCT tenant, user FROM memories ORDER BY tenant, user"

_UNATTENDED: Final = """
SELECT conversations.tenant, conversations.user, conversations.id AS conversation_id,
    leases.fence, leases.holder, leases.until, leases.seconds
FROM (
    SELECT conversation FROM turns WHERE status = 'open'
    UNION SELECT conversation FROM inbox WHERE turn IS NULL
) AS work
JOIN conversations ON conversations.number = work.conversation
LEFT JOIN leases ON leases.conversation = work.conversation
WHERE NOT EXISTS (
    SELECT 1 FROM hand_offs WHERE hand_offs.conversation = work.conversation
    AND (status = 'taken' OR (status = 'waiting' AND holds))
)
ORDER BY work.conversation"""


class SqliteUserStore(ConversationRows, HandOffRows, ApprovalRows, FileRows):
    """Everything of one user; made by `SqliteStore.for_user` only."""

    def remove_memory(
        self, memory_id: str, *, wait: float = 30.0, beside: Sequence[Path] = ()
    ) -> ErasureReceipt:
        """Erase one memory and verify it."""
        return Eraser(self._connection, wait, beside).forget(self._tenant, self._user, memory_id)

    def erase(self, *, wait: float = 30.0, beside: Sequence[Path] = ()) -> ErasureReceipt:
        """Erase everything of this user and verify it."""
        return Eraser(self._connection, wait, beside).erase_user(self._tenant, self._user)

    def under(self, lease: Lease) -> SqliteUserStore:
        """This user's store for the holder of a lease."""
        return SqliteUserStore(self._connection, self._tenant, self._user, self._sources, lease)


class SqliteStore:
    """A store in one file that threads of one process share and other processes may have open, too.

    Make it with `SqliteStore.open`.
    """

    def __init__(self, connection: Connection, sources: Sources) -> None:
        self._connection = connection
        self._sources = sources

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        clock: Clock = utc_now,
        ids: Ids = new_id,
        on_write: WriteHook | None = None,
        busy_timeout: float = 5.0,
        ticks: Callable[[], float] = time.monotonic,
    ) -> SqliteStore:
        """Open or create a database and bring its schema up to date.

        Args:
            path: The file; missing folders above it are created.
            clock: Gives the present time, aware and in UTC.
            ids: Gives new ids.
            on_write: Called at `before:NAME`, `inside:NAME` and `after:NAME` of every write, for crash tests.
            busy_timeout: Seconds to wait for another process's write before `StoreLocked`.
            ticks: Gives seconds that only ever grow, in all processes of the machine; leases end by it.

        Raises:
            StoreCorrupt: The file is not a sound agentkit database; says what it is.
            StoreError: The path cannot be used, or this SQLite is too old.
            StoreLocked: Another process holds the file.
            StoreReadOnly: The file or its folder cannot be written.
            StoreTooNew: A newer agentkit wrote it; it is left as it is.
        """
        connection = open_connection(Path(path), busy_timeout=busy_timeout, on_write=on_write)
        return cls(connection, Sources(clock, ids, ticks, this_worker()))

    @property
    def path(self) -> Path:
        """The file."""
        return self._connection.path

    def for_user(self, tenant: str, user: str) -> UserStore:
        """The only way to anybody's data."""
        whose = storable(tenant, "the tenant's name"), storable(user, "the user's name")
        return SqliteUserStore(self._connection, *whose, self._sources)

    def open_turns(self) -> list[OpenTurn]:
        """Every accepted turn that is not committed, of all users, in the order they were accepted."""
        with self._connection.reading():
            rows = self._connection.rows(_OPEN_TURNS)
            return [turn_reading.load_open_turn(self._connection, row) for row in rows]

    def unattended(self) -> list[ConversationKey]:
        """The conversations with an open turn or a waiting message that nobody holds a lease of."""
        with self._connection.reading():
            rows = self._connection.rows(_UNATTENDED)
        fields = ("tenant", "user", "conversation_id")
        return [
            validated(ConversationKey, "conversations", row["conversation_id"], {f: row[f] for f in fields})
            for row in rows
            if not is_held(row, self._sources)
        ]

    def remembered_users(self) -> list[tuple[str, str]]:
        """Tenant and name of every user of whom something is remembered, in their order."""
        return [(row["tenant"], row["user"]) for row in self._connection.read(_REMEMBERED_USERS)]

    def waiting_approvals(self) -> list[ApprovalRecord]:
        """Every request that waits for a person, of all users, oldest first."""
        with self._connection.reading():
            return approval_rows.waiting_of(self._connection)

    def queue(self) -> list[HandOffRecord]:
        """Every hand-off that is not over, of all users: higher priority first, then older."""
        with self._connection.reading():
            return hand_off_rows.active_of(self._connection, self._sources)

    def past_turns(self, since: datetime | None = None) -> Iterator[PastTurn]:
        """Every committed turn, of all users, that began then or later, oldest first."""
        return past_rows.past_turns(self._connection, since)

    def past_hand_offs(self) -> list[HandOffRecord]:
        """Every hand-off there ever was, of all users, oldest first."""
        with self._connection.reading():
            return hand_off_rows.all_of(self._connection, self._sources)

    def knowledge(self, tenant: str, collection: str = "knowledge") -> KnowledgeTable:
        """The documents of a tenant under one name."""
        return SqliteKnowledge(self._connection, tenant, collection, self._sources.clock)

    def expire(
        self, retention: Retention, *, wait: float = 30.0, beside: Sequence[Path] = ()
    ) -> ErasureReceipt:
        """Erase what is older than it may be, of all users, and verify it."""
        return Eraser(self._connection, wait, beside).expire(retention, self._sources.clock())

    def expired(self, retention: Retention) -> ErasedKinds:
        """What `expire` would erase."""
        return Eraser(self._connection, 0, ()).expired(retention, self._sources.clock())

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
