"""What all table groups of a user share: the connection, whose rows they are, and how to find them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agentkit.errors import LeaseLost, RecordNotFound, TurnConflict
from agentkit.store.connection import Connection, Row
from agentkit.store.identifiers import Clock, Ids
from agentkit.store.records import Lease
from agentkit.store.workers import is_gone

_CONVERSATION: Final = """
SELECT conversations.number, conversations.id, leases.fence, leases.holder, leases.until, leases.seconds
FROM conversations LEFT JOIN leases ON leases.conversation = conversations.number
WHERE conversations.id = ? AND conversations.tenant = ? AND conversations.user = ?"""

_TURN: Final = """
SELECT turns.number, turns.id, turns.conversation, turns.seq, turns.status, conversations.id AS conversation_id,
    leases.fence, leases.holder, leases.until, leases.seconds
FROM turns JOIN conversations ON conversations.number = turns.conversation
LEFT JOIN leases ON leases.conversation = turns.conversation
WHERE turns.id = ? AND conversations.tenant = ? AND conversations.user = ?"""


# `next_step`, and whether a call of the turn has no result.
_WRITABLE_TURN: Final = """
SELECT turns.number, turns.id, turns.conversation, turns.seq, turns.status, conversations.id AS conversation_id,
    leases.fence, leases.holder, leases.until, leases.seconds,
    (SELECT coalesce(max(seq) + 1, 0) FROM steps WHERE turn = turns.number) AS next_step,
    EXISTS (SELECT 1 FROM journal WHERE turn = turns.number AND result_step IS NULL) AS lacks_results
FROM turns JOIN conversations ON conversations.number = turns.conversation
LEFT JOIN leases ON leases.conversation = turns.conversation
WHERE turns.id = ? AND conversations.tenant = ? AND conversations.user = ?"""


@dataclass(frozen=True)
class Sources:
    """What a store takes from outside.

    Args:
        clock: Gives the present time, aware and in UTC.
        ids: Gives new ids.
        ticks: Gives seconds that only ever grow, the same in all processes of the machine; leases end by it.
        worker: The name of this process.
    """

    clock: Clock
    ids: Ids
    ticks: Callable[[], float]
    worker: str


class UserRows:
    """Access to the rows of one user; the base of the table groups.

    Args:
        connection: The database.
        tenant: Rows of other tenants do not exist here.
        user: Nor do rows of other users.
        sources: Where times and ids come from.
        lease: The lease under which turns are written; None: only where nobody holds one.
    """

    def __init__(
        self, connection: Connection, tenant: str, user: str, sources: Sources, lease: Lease | None = None
    ) -> None:
        self._connection = connection
        self._tenant = tenant
        self._user = user
        self._sources = sources
        self._clock = sources.clock
        self._ids = sources.ids
        self._lease = lease

    @property
    def tenant(self) -> str:
        """The tenant."""
        return self._tenant

    @property
    def user(self) -> str:
        """The user."""
        return self._user

    def _now(self) -> str:
        return self._clock().isoformat()

    def _conversation_row(self, conversation_id: str, columns: str = _CONVERSATION) -> Row:
        row = self._connection.row(columns, (conversation_id, self._tenant, self._user))
        if row is None:
            raise RecordNotFound(
                f"User {self._user!r} has no conversation {conversation_id!r}.",
                hint="List the user's conversations, or start a new one.",
            )
        return row

    def _turn_row(self, turn_id: str, columns: str = _TURN) -> Row:
        row = self._connection.row(columns, (turn_id, self._tenant, self._user))
        if row is None:
            raise RecordNotFound(f"User {self._user!r} has no turn {turn_id!r}.")
        return row

    def _open_turn_row(self, turn_id: str) -> Row:
        row = self._turn_row(turn_id)
        _check_open(row)
        return row

    def _writable_turn_row(self, turn_id: str) -> Row:
        """An open turn that this store may write to; inside a write."""
        row = self._turn_row(turn_id, _WRITABLE_TURN)
        self._check_lease(row)
        _check_open(row)
        return row

    def _check_lease(self, row: Row) -> None:
        """Refuse to write where another worker has the lease; `row` holds the lease of its conversation."""
        mine = self._lease
        allowed = (
            not is_held(row, self._sources)
            if mine is None
            else row["fence"] == mine.fence and row["holder"] is not None
        )
        if not allowed:
            raise LeaseLost(
                f"User {self._user!r}: the conversation of turn {row['id']} is being answered by another worker. "
                "Nothing was written.",
                hint="Leave the turn to it: `claim` says when it is free.",
            )


def _check_open(row: Row) -> None:
    if row["status"] != "open":
        raise TurnConflict(
            f"Turn {row['id']} is finished ({row['status']}); nothing can be added to it.",
            hint="Begin a new turn.",
        )


def is_held(row: Row, sources: Sources) -> bool:
    """Whether somebody holds the lease in a row."""
    if row["holder"] is None or not has_time(row, sources):
        return False
    return row["holder"] == sources.worker or not is_gone(row["holder"])


def has_time(row: Row, sources: Sources) -> bool:
    """Whether the time in a row, of a lease or of a person, is not over.

    A time that is further away than it is long was written on another boot: it means nothing.
    """
    return bool(0 < row["until"] - sources.ticks() <= row["seconds"] + 1)
