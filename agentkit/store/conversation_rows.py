"""The conversations of a user and what is read from them."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from agentkit.errors import TurnConflict
from agentkit.events import Event, load_event
from agentkit.messages import Assistant, Message, ToolResult
from agentkit.store import turn_reading
from agentkit.store.connection import Row
from agentkit.store.failures import poisoned, storable, validated
from agentkit.store.records import ConversationRecord, JournalRow, OpenTurn, SummaryRecord, TurnRecord
from agentkit.store.turn_reading import TURN_COLUMNS
from agentkit.store.user_rows import UserRows

_ADD: Final = """
INSERT INTO conversations (id, tenant, user, seq, title, created_at)
SELECT :id, :tenant, :user, coalesce(max(seq) + 1, 0), :title, :now
FROM conversations WHERE tenant = :tenant AND user = :user"""

_ALL: Final = """
SELECT id, seq, title, created_at, forked_from FROM conversations WHERE tenant = ? AND user = ? ORDER BY seq"""

_LATEST: Final = """
SELECT id FROM conversations WHERE tenant = ? AND user = ? ORDER BY seq DESC LIMIT 1"""

# LIMIT -1 is no limit.
_LAST_OF_ALL_TURNS: Final = TURN_COLUMNS + "WHERE turns.conversation = ? ORDER BY turns.seq DESC LIMIT ?"

_ONE_TURN: Final = TURN_COLUMNS + "WHERE turns.number = ?"

_LAST_TURNS: Final = (
    TURN_COLUMNS + "WHERE turns.conversation = ? AND turns.status <> 'open' ORDER BY turns.seq DESC LIMIT ?"
)

_LAST_STEPS: Final = """
SELECT steps.turn, steps.seq, steps.message
FROM turns JOIN steps ON steps.turn = turns.number
WHERE turns.conversation = ? AND turns.status <> 'open' AND turns.seq >= ?
ORDER BY turns.seq, steps.seq"""

_ADD_FORK: Final = "UPDATE conversations SET forked_from = ? WHERE id = ? RETURNING number"

_UP_TO: Final = "SELECT number FROM turns WHERE conversation = ? AND seq <= ? ORDER BY seq"

_COPY_TURN: Final = """
INSERT INTO turns (id, conversation, seq, status, message, reply, created_at, finished_at)
SELECT ?, ?, seq, status, message, reply, created_at, finished_at FROM turns WHERE number = ?"""

_COPY_STEPS: Final = """
INSERT INTO steps (turn, seq, message, usage, created_at)
SELECT ?, seq, message, usage, created_at FROM steps WHERE turn = ?"""

_COPY_JOURNAL: Final = """
INSERT INTO journal (conversation, call_id, turn, step, position, call, status, effect, idempotent, result_step,
    created_at)
SELECT ?, call_id, ?, step, position, call, status, effect, idempotent, result_step, created_at
FROM journal WHERE turn = ?"""

_COPY_EVENTS: Final = "INSERT INTO events (turn, seq, event) SELECT ?, seq, event FROM events WHERE turn = ?"

_EVENTS: Final = "SELECT seq, event FROM events WHERE turn = ? ORDER BY seq"

_SUMMARY: Final = """
SELECT through, text, trust FROM summaries WHERE conversation = ? AND through <= ?
ORDER BY through DESC LIMIT 1"""

_ADD_SUMMARY: Final = """
INSERT INTO summaries (conversation, through, text, trust, created_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""


class ConversationRows(UserRows):
    """Implements `protocol.Conversations`, where every method is described."""

    def new_conversation(self, title: str = "") -> str:
        """Start a conversation and return its id."""
        conversation_id = self._ids()
        values = {
            "id": conversation_id,
            "tenant": self._tenant,
            "user": self._user,
            "title": storable(title, "the title"),
            "now": self._now(),
        }
        with self._connection.writing("new_conversation"):
            self._connection.execute(_ADD, values)
        return conversation_id

    def fork(self, turn_id: str, title: str = "") -> str:
        """Start a conversation with what was said up to a committed turn; the old one stays as it is."""
        conversation_id = self._ids()
        values = {
            "id": conversation_id,
            "tenant": self._tenant,
            "user": self._user,
            "title": storable(title, "the title"),
            "now": self._now(),
        }
        with self._connection.writing("fork"):
            last = self._turn_row(turn_id)
            if last["status"] == "open":
                raise TurnConflict(
                    f"Turn {turn_id} is not finished: nothing can go on from it yet.",
                    hint="Wait for its reply, or fork from the turn before.",
                )
            self._connection.execute(_ADD, values)
            fork = self._connection.rows(_ADD_FORK, (turn_id, conversation_id))[0]["number"]
            for row in self._connection.rows(_UP_TO, (last["conversation"], last["seq"])):
                old = row["number"]
                new = self._connection.execute(_COPY_TURN, (self._ids(), fork, old))
                self._connection.execute(_COPY_STEPS, (new, old))
                self._connection.execute(_COPY_JOURNAL, (fork, new, old))
                self._connection.execute(_COPY_EVENTS, (new, old))
        return conversation_id

    def conversations(self) -> list[ConversationRecord]:
        """The user's conversations, oldest first."""
        with self._connection.reading():
            rows = self._connection.rows(_ALL, (self._tenant, self._user))
        return [validated(ConversationRecord, "conversations", row["id"], dict(row)) for row in rows]

    def latest_conversation(self) -> str | None:
        """The id of the conversation that was started last, if there is one."""
        rows = self._connection.read(_LATEST, (self._tenant, self._user))
        return str(rows[0]["id"]) if rows else None

    def turns(self, conversation_id: str, *, last: int | None = None) -> list[TurnRecord]:
        """The turns of a conversation, open ones too, in order."""
        limit = _limit(last)
        with self._connection.reading():
            number = self._conversation_row(conversation_id)["number"]
            rows = self._connection.rows(_LAST_OF_ALL_TURNS, (number, limit))
        return [turn_reading.turn_of(row) for row in rows[::-1]]

    def open_turn(self, turn_id: str) -> OpenTurn:
        """An open turn with its recorded steps and its journal."""
        with self._connection.reading():
            number = self._open_turn_row(turn_id)["number"]
            row = self._connection.rows(_ONE_TURN, (number,))[0]
            return turn_reading.load_open_turn(self._connection, row)

    def transcript(self, conversation_id: str, *, last_turns: int | None = None) -> tuple[Message, ...]:
        """What was said, in order: committed turns only, every call with exactly one result."""
        limit = _limit(last_turns)
        with self._connection.reading():
            number = self._conversation_row(conversation_id)["number"]
            turns = self._connection.rows(_LAST_TURNS, (number, limit))[::-1]
            first = turns[0]["seq"] if turns else 0
            steps = self._connection.rows(_LAST_STEPS, (number, first)) if turns else []
        said: dict[int, list[Message]] = {row["number"]: [] for row in turns}
        for row in steps:
            message = turn_reading.said_in(row)
            if isinstance(message, ToolResult) or (isinstance(message, Assistant) and message.calls):
                said[row["turn"]].append(message)
        return tuple(message for row in turns for message in _turn_said(row, said[row["number"]]))

    def events(self, turn_id: str) -> tuple[Event, ...]:
        """The trace of a committed turn, in order."""
        with self._connection.reading():
            number = self._turn_row(turn_id)["number"]
            rows = self._connection.rows(_EVENTS, (number,))
        return tuple(event_of(number, row) for row in rows)

    def journal(self, turn_id: str) -> list[JournalRow]:
        """The calls of a turn, in the order they were written."""
        with self._connection.reading():
            number = self._turn_row(turn_id)["number"]
            return list(turn_reading.journal_of(self._connection, number))

    def summary(self, conversation_id: str, through: int) -> SummaryRecord | None:
        """The longest summary of the conversation that ends at turn `through` or before."""
        with self._connection.reading():
            number = self._conversation_row(conversation_id)["number"]
            row = self._connection.row(_SUMMARY, (number, through))
        return None if row is None else validated(SummaryRecord, "summaries", number, dict(row))

    def add_summary(self, conversation_id: str, summary: SummaryRecord) -> None:
        """Keep a summary; one that ends at the same turn stays as it is."""
        text = storable(summary.text, "the summary")
        with self._connection.writing("add_summary"):
            number = self._conversation_row(conversation_id)["number"]
            values = (number, summary.through, text, summary.trust, self._now())
            self._connection.execute(_ADD_SUMMARY, values)


def _limit(turns: int | None) -> int:
    if turns is not None and turns < 0:
        raise ValueError(f"a number of turns cannot be {turns}")
    return -1 if turns is None else turns


def _turn_said(row: Row, between: list[Message]) -> tuple[Message, ...]:
    reply = turn_reading.reply_of(row)
    return (turn_reading.message_of(row), *between, *((reply,) if reply.parts else ()))


def event_of(turn: int, row: Row) -> Event:
    """An event from a row of `events`."""
    try:
        return load_event(row["event"])
    except ValidationError as problem:
        raise poisoned("events", f"{turn}/{row['seq']}", problem) from problem
