"""What all table groups of a user share: the connection, whose rows they are, and how to find them."""

from __future__ import annotations

from typing import Final

from agentkit.errors import RecordNotFound, TurnConflict
from agentkit.store.connection import Connection, Row
from agentkit.store.identifiers import Clock, Ids

_CONVERSATION: Final = """
SELECT number, id FROM conversations WHERE id = ? AND tenant = ? AND user = ?"""

_TURN: Final = """
SELECT turns.number, turns.id, turns.conversation, turns.status, conversations.id AS conversation_id
FROM turns JOIN conversations ON conversations.number = turns.conversation
WHERE turns.id = ? AND conversations.tenant = ? AND conversations.user = ?"""


class UserRows:
    """Access to the rows of one user; the base of the table groups.

    Args:
        connection: The database.
        tenant: Rows of other tenants do not exist here.
        user: Nor do rows of other users.
        clock: Gives the present time in UTC.
        ids: Gives new ids.
    """

    def __init__(self, connection: Connection, tenant: str, user: str, clock: Clock, ids: Ids) -> None:
        self._connection = connection
        self._tenant = tenant
        self._user = user
        self._clock = clock
        self._ids = ids

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

    def _conversation_row(self, conversation_id: str) -> Row:
        row = self._connection.row(_CONVERSATION, (conversation_id, self._tenant, self._user))
        if row is None:
            raise RecordNotFound(
                f"User {self._user!r} has no conversation {conversation_id!r}.",
                hint="List the user's conversations, or start a new one.",
            )
        return row

    def _turn_row(self, turn_id: str) -> Row:
        row = self._connection.row(_TURN, (turn_id, self._tenant, self._user))
        if row is None:
            raise RecordNotFound(f"User {self._user!r} has no turn {turn_id!r}.")
        return row

    def _open_turn_row(self, turn_id: str) -> Row:
        row = self._turn_row(turn_id)
        if row["status"] != "open":
            raise TurnConflict(
                f"Turn {turn_id} is finished ({row['status']}); nothing can be added to it.",
                hint="Begin a new turn.",
            )
        return row
