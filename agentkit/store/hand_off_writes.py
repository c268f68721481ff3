"""What the end of a turn writes to the queue of people, inside its transaction."""

from __future__ import annotations

from typing import Final, assert_never

from pydantic import JsonValue, TypeAdapter
from pydantic_core import PydanticSerializationError

from agentkit.store.connection import Connection
from agentkit.store.failures import storable, unstorable
from agentkit.store.hand_off_records import Callback, EndOfHandOff, HandOffChange, HandOffStatus, NewHandOff

_OBJECT: Final[TypeAdapter[dict[str, JsonValue]]] = TypeAdapter(dict[str, JsonValue])

_ADD: Final = """
INSERT INTO hand_offs (conversation, turn, id, reason, summary, slots, priority, holds, profile, status, fence, until,
    seconds, created_at)
VALUES (:conversation, :turn, :id, :reason, :summary, :slots, :priority, :holds, :profile, 'waiting', 0, 0, 0, :now)
ON CONFLICT (conversation) WHERE status IN ('waiting', 'taken') DO UPDATE
SET turn = excluded.turn, reason = excluded.reason, summary = excluded.summary, slots = excluded.slots,
    priority = max(priority, excluded.priority), holds = max(holds, excluded.holds), profile = excluded.profile"""

_SET_CALLBACK: Final = """
UPDATE hand_offs SET callback = ? WHERE conversation = ? AND status IN ('waiting', 'taken')"""

_ANSWERED: Final = """
UPDATE hand_offs SET answered_at = coalesce(answered_at, ?), until = ? + seconds
WHERE conversation = ? AND status = 'taken'"""

_END: Final = """
UPDATE hand_offs SET status = ?, note = ?, ended_at = ?
WHERE conversation = ? AND status IN ('waiting', 'taken')"""


def write_change(
    connection: Connection, conversation: int, turn: int, change: HandOffChange, now: str
) -> None:
    """Write what a turn does to the queue.

    Args:
        connection: Inside a `writing` block.
        conversation, turn: Numbers of their rows.
        change: What it does.
        now: The present time, as it is stored.

    Raises:
        InputRejected: A text cannot be stored.
    """
    match change:
        case NewHandOff():
            values = {
                "conversation": conversation,
                "turn": turn,
                "id": change.id,
                "reason": storable(change.reason, "the reason"),
                "summary": storable(change.summary, "the summary"),
                "slots": _json(change.slots),
                "priority": change.priority,
                "holds": int(change.holds),
                "profile": _json(change.profile),
                "now": now,
            }
            connection.execute(_ADD, values)
        case Callback():
            storable(change.phone + change.when, "the callback")
            connection.execute(_SET_CALLBACK, (change.model_dump_json(), conversation))
        case EndOfHandOff():
            end(connection, conversation, change.outcome, storable(change.note, "the note"), now)
        case other:
            assert_never(other)


def note_answer(connection: Connection, conversation: int, now: str, ticks: float) -> None:
    """Note that a person answered just now: their time begins anew."""
    connection.execute(_ANSWERED, (now, ticks, conversation))


def end(connection: Connection, conversation: int, status: HandOffStatus, note: str | None, now: str) -> None:
    """End the hand-off of a conversation that is not over, if there is one."""
    connection.execute(_END, (status, note, now, conversation))


def _json(value: dict[str, JsonValue]) -> str:
    try:
        return _OBJECT.dump_json(value).decode()
    except PydanticSerializationError as problem:
        raise unstorable("the values of a hand-off") from problem
