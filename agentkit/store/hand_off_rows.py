"""Conversations that a person takes over. Each public write is one transaction."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from agentkit.errors import Busy, LeaseLost, RecordNotFound, TurnConflict
from agentkit.messages import User
from agentkit.store.connection import Connection, Row
from agentkit.store.failures import poisoned, storable, validated
from agentkit.store.hand_off_records import Callback, HandOffRecord
from agentkit.store.hand_off_writes import end
from agentkit.store.inbox_rows import InboxRows
from agentkit.store.records import Claim
from agentkit.store.turn_rows import message_json
from agentkit.store.user_rows import Sources, has_time, is_held

_OBJECT: Final[TypeAdapter[dict[str, JsonValue]]] = TypeAdapter(dict[str, JsonValue])

_COLUMNS: Final = """
SELECT hand_offs.*, conversations.id AS conversation_id, conversations.tenant, conversations.user, turns.id AS turn_id,
    hand_offs.person AS holder,
    (SELECT count(*) FROM inbox WHERE inbox.conversation = hand_offs.conversation AND inbox.turn IS NULL) AS waiting
FROM hand_offs JOIN conversations ON conversations.number = hand_offs.conversation
JOIN turns ON turns.number = hand_offs.turn """

_ONE: Final = _COLUMNS + "WHERE hand_offs.id = ? AND conversations.tenant = ? AND conversations.user = ?"

_OF_CONVERSATION: Final = _COLUMNS + "WHERE hand_offs.conversation = ? ORDER BY hand_offs.number"

_ACTIVE_ONE: Final = (
    _COLUMNS + "WHERE hand_offs.conversation = ? AND hand_offs.status IN ('waiting', 'taken')"
)

_ALL: Final = _COLUMNS + "ORDER BY hand_offs.number"

_ACTIVE: Final = (
    _COLUMNS
    + "WHERE hand_offs.status IN ('waiting', 'taken') ORDER BY hand_offs.priority DESC, hand_offs.number"
)

_TAKE: Final = """
UPDATE hand_offs SET status = 'taken', person = ?, fence = fence + 1, until = ?, seconds = ?,
    taken_at = coalesce(taken_at, ?)
WHERE id = ?"""

_ACKNOWLEDGE: Final = """
UPDATE hand_offs SET acknowledged = coalesce(person, '')
WHERE conversation = ? AND status IN ('waiting', 'taken') AND acknowledged IS NOT coalesce(person, '')
RETURNING id"""

_NAME_TURN: Final = """
INSERT INTO inbox (conversation, seq, id, client_msg_id, policy, message, turn, created_at)
SELECT :conversation, coalesce(max(seq) + 1, 0), :id, :name, 'enqueue', NULL, :turn, :now
FROM inbox WHERE conversation = :conversation"""

_NAMED: Final = """
SELECT turns.status FROM inbox JOIN turns ON turns.number = inbox.turn
WHERE inbox.conversation = ? AND inbox.client_msg_id = ?"""

_FIELDS: Final = (
    "id", "tenant", "user", "conversation_id", "turn_id", "reason", "summary", "priority", "status", "fence",
    "waiting", "created_at", "taken_at", "answered_at", "ended_at",
)  # fmt: skip


class HandOffRows(InboxRows):
    """Implements `hand_off_protocol.HandOffs`, where every method is described."""

    def hand_off(self, conversation_id: str) -> HandOffRecord | None:
        """The hand-off of a conversation that is not over, if there is one."""
        with self._connection.reading():
            number = self._conversation_row(conversation_id)["number"]
            row = self._connection.row(_ACTIVE_ONE, (number,))
        return None if row is None else record_of(row, self._sources)

    def hand_offs(self, conversation_id: str) -> list[HandOffRecord]:
        """All hand-offs of a conversation, oldest first."""
        with self._connection.reading():
            number = self._conversation_row(conversation_id)["number"]
            return [
                record_of(row, self._sources) for row in self._connection.rows(_OF_CONVERSATION, (number,))
            ]

    def take_hand_off(
        self, hand_off_id: str, *, by: str, seconds: float, from_others: bool = False
    ) -> HandOffRecord:
        """Take a conversation over: durable on return, and its fence grows."""
        storable(by, "the name of a person")
        with self._connection.writing("take_hand_off"):
            record = record_of(self._hand_off_row(hand_off_id), self._sources)
            _check_active(record)
            if record.status == "taken" and record.person != by and not (record.is_idle or from_others):
                raise Busy(
                    f"{record.person} has hand-off {hand_off_id} since {record.taken_at:%H:%M}.",
                    hint="Take another one, or ask for it; who leads the desk may take it from others.",
                )
            until = self._sources.ticks() + seconds
            self._connection.execute(_TAKE, (by, until, seconds, self._now(), hand_off_id))
            return record_of(self._hand_off_row(hand_off_id), self._sources)

    def claim_for_person(
        self,
        hand_off_id: str,
        fence: int,
        seconds: float,
        *,
        with_waiting: bool = True,
        client_msg_id: str | None = None,
    ) -> Claim | None:
        """Take the lease of a conversation that a person has, with the turn that they are about to end."""
        name = None if client_msg_id is None else storable(client_msg_id, "client_msg_id")
        with self._connection.writing("claim_for_person"):
            record = record_of(self._hand_off_row(hand_off_id), self._sources)
            _check_active(record)
            if record.fence != fence or record.status != "taken":
                raise LeaseLost(
                    f"Hand-off {hand_off_id} is with {record.person or 'nobody'} now. Nothing was written.",
                    hint="Take it again if that is agreed.",
                )
            conversation = self._conversation_row(record.conversation_id)
            number = conversation["number"]
            if is_held(conversation, self._sources):
                raise Busy("The last turn is being ended.", hint="Try again in a moment.")
            known = None if name is None else self._connection.row(_NAMED, (number, name))
            if known is not None and known["status"] != "open":
                return None
            if not self._has_open_turn(number):
                if not (with_waiting and self._begin_next(conversation, all_of_them=True)):
                    self._add_turn(conversation, message_json(User(parts=())))
                if name is not None:
                    values = {"conversation": number, "id": self._ids(), "name": name, "now": self._now()}
                    self._connection.execute(_NAME_TURN, values | {"turn": self._open_turn_number(number)})
            return self._leased(conversation, seconds)

    def acknowledge_hand_off(self, conversation_id: str) -> bool:
        """Note that the customer was told who answers; True the first time for each person, and for nobody yet."""
        with self._connection.writing("acknowledge_hand_off"):
            number = self._conversation_row(conversation_id)["number"]
            return self._connection.row(_ACKNOWLEDGE, (number,)) is not None

    def withdraw_hand_off(self, conversation_id: str) -> HandOffRecord | None:
        """The customer goes on with the bot: what they said meanwhile waits for it."""
        with self._connection.writing("withdraw_hand_off"):
            number = self._conversation_row(conversation_id)["number"]
            row = self._connection.row(_ACTIVE_ONE, (number,))
            if row is None:
                return None
            end(self._connection, number, "withdrawn", None, self._now())
            return record_of(self._hand_off_row(row["id"]), self._sources)

    def _hand_off_row(self, hand_off_id: str) -> Row:
        row = self._connection.row(_ONE, (hand_off_id, self._tenant, self._user))
        if row is None:
            raise RecordNotFound(
                f"User {self._user!r} has no hand-off {hand_off_id!r}.",
                hint="`agentkit desk list BOT` shows what waits, and for whom.",
            )
        return row


def active_of(connection: Connection, sources: Sources) -> list[HandOffRecord]:
    """Every hand-off that is not over, of all users: the queue, in its order; inside a `reading` block."""
    return [record_of(row, sources) for row in connection.rows(_ACTIVE)]


def all_of(connection: Connection, sources: Sources) -> list[HandOffRecord]:
    """Every hand-off there ever was, oldest first; inside a `reading` block."""
    return [record_of(row, sources) for row in connection.rows(_ALL)]


def record_of(row: Row, sources: Sources) -> HandOffRecord:
    """A hand-off from a row of this module's queries."""
    try:
        values = {
            **{field: row[field] for field in _FIELDS},
            "slots": _OBJECT.validate_json(row["slots"]),
            "profile": _OBJECT.validate_json(row["profile"]),
            "holds": bool(row["holds"]),
            "person": row["person"] or "",
            "is_idle": row["status"] == "taken" and not has_time(row, sources),
            "callback": None if row["callback"] is None else Callback.model_validate_json(row["callback"]),
            "note": row["note"] or "",
        }
    except ValidationError as problem:
        raise poisoned("hand_offs", row["id"], problem) from problem
    return validated(HandOffRecord, "hand_offs", row["id"], values)


def _check_active(record: HandOffRecord) -> None:
    if not record.is_active:
        raise TurnConflict(
            f"Hand-off {record.id} is over ({record.status.replace('_', ' ')}); nothing was written.",
            hint="The customer's next request makes a new one.",
        )
