"""Rows of a turn back to values; every row is checked on the way."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from agentkit.messages import Assistant, Message, ToolCall, ToolResult, User, load_message
from agentkit.store.connection import Connection, Row
from agentkit.store.failures import poisoned, validated
from agentkit.store.records import JournalRow, OpenTurn, StepRecord, TurnRecord

USAGE: Final[TypeAdapter[dict[str, JsonValue]]] = TypeAdapter(dict[str, JsonValue])
"""Reads and writes what a step cost."""

TURN_COLUMNS: Final = """
SELECT turns.number, turns.id, conversations.id AS conversation_id, turns.seq, turns.status, turns.created_at,
    turns.finished_at, turns.message, turns.reply, conversations.tenant, conversations.user
FROM turns JOIN conversations ON conversations.number = turns.conversation """

_STEPS: Final = "SELECT turn, seq, message, usage FROM steps WHERE turn = ? ORDER BY seq"

_JOURNAL: Final = """
SELECT turns.id AS turn_id, journal.conversation, journal.call_id, journal.call, journal.status,
    journal.effect, journal.idempotent, journal.result_step, steps.message AS result
FROM journal JOIN turns ON turns.number = journal.turn
LEFT JOIN steps ON steps.turn = journal.turn AND steps.seq = journal.result_step
WHERE journal.turn = ? ORDER BY journal.step, journal.position"""


def turn_of(row: Row) -> TurnRecord:
    """A turn from a row of `TURN_COLUMNS`."""
    fields = ("id", "conversation_id", "seq", "status", "created_at", "finished_at")
    return validated(TurnRecord, "turns", row["number"], {field: row[field] for field in fields})


def message_of(row: Row) -> User:
    """The user message of a turn."""
    try:
        return User.model_validate_json(row["message"])
    except ValidationError as problem:
        raise poisoned("turns", row["number"], problem) from problem


def reply_of(row: Row) -> Assistant:
    """The reply of a committed turn."""
    try:
        return Assistant.model_validate_json(row["reply"])
    except ValidationError as problem:
        raise poisoned("turns", row["number"], problem) from problem


def said_in(row: Row) -> Message:
    """What a step said, from a row of `steps`."""
    try:
        return load_message(row["message"])
    except ValidationError as problem:
        raise poisoned("steps", _key(row), problem) from problem


def step_of(row: Row) -> StepRecord:
    """A step from a row of `steps`."""
    try:
        usage = USAGE.validate_json(row["usage"])
    except ValidationError as problem:
        raise poisoned("steps", _key(row), problem) from problem
    values = {"seq": row["seq"], "message": said_in(row), "usage": usage}
    return validated(StepRecord, "steps", _key(row), values)


def steps_of(connection: Connection, turn: int) -> tuple[StepRecord, ...]:
    """The steps of a turn (its number), in order."""
    return tuple(step_of(row) for row in connection.rows(_STEPS, (turn,)))


def journal_of(connection: Connection, turn: int) -> tuple[JournalRow, ...]:
    """The calls of a turn (its number), in the order they were written."""
    return tuple(_journal_row(row) for row in connection.rows(_JOURNAL, (turn,)))


def load_open_turn(connection: Connection, row: Row) -> OpenTurn:
    """Everything about a turn, from its row of `TURN_COLUMNS`; inside a `reading` block."""
    return OpenTurn(
        tenant=row["tenant"],
        user=row["user"],
        turn=turn_of(row),
        message=message_of(row),
        steps=steps_of(connection, row["number"]),
        journal=journal_of(connection, row["number"]),
    )


def _key(row: Row) -> str:
    return f"{row['turn']}/{row['seq']}"


def _journal_row(row: Row) -> JournalRow:
    key = f"{row['conversation']}/{row['call_id']}"
    try:
        result = None if row["result"] is None else ToolResult.model_validate_json(row["result"])
        call = ToolCall.model_validate_json(row["call"])
    except ValidationError as problem:
        raise poisoned("journal", key, problem) from problem
    values = {
        "turn_id": row["turn_id"],
        "call": call,
        "status": row["status"],
        "effect": row["effect"],
        "idempotent": None if row["idempotent"] is None else bool(row["idempotent"]),
        "result": result,
    }
    return validated(JournalRow, "journal", key, values)
