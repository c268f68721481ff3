"""The writes of a turn. Each public method is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError

from agentkit.errors import Busy, TurnConflict
from agentkit.events import Event, dump_events
from agentkit.messages import Assistant, Message, ToolCall, ToolEffect, ToolResult, User, dump_message
from agentkit.store.connection import Row
from agentkit.store.failures import unstorable
from agentkit.store.hand_off_records import HandOffChange
from agentkit.store.hand_off_writes import note_answer, write_change
from agentkit.store.memory_rows import MemoryRows
from agentkit.store.records import EndStatus, JournalStatus, NewMemory, TurnRecord
from agentkit.store.turn_reading import USAGE
from agentkit.store.user_rows import is_held

_OPEN_TURN: Final = "SELECT id FROM turns WHERE conversation = ? AND status = 'open'"

_NEXT_TURN: Final = "SELECT coalesce(max(seq) + 1, 0) AS seq FROM turns WHERE conversation = ?"

_ADD_TURN: Final = """
INSERT INTO turns (id, conversation, seq, status, message, created_at) VALUES (?, ?, ?, 'open', ?, ?)"""

_ADD_STEP: Final = "INSERT INTO steps (turn, seq, message, usage, created_at) VALUES (?, ?, ?, ?, ?)"

_ADD_CALL: Final = """
INSERT INTO journal (conversation, call_id, turn, step, position, call, status, created_at)
VALUES (?, ?, ?, ?, ?, ?, 'written', ?) ON CONFLICT (conversation, call_id) DO NOTHING RETURNING 1"""

_CALL: Final = "SELECT call_id, call, status FROM journal WHERE conversation = ? AND call_id = ? AND turn = ?"

_START_CALL: Final = """
UPDATE journal SET status = 'started', effect = ?, idempotent = ? WHERE conversation = ? AND call_id = ?"""

_END_CALL: Final = """
UPDATE journal SET status = ?, result_step = ?
WHERE conversation = ? AND call_id = ? AND turn = ? AND status IN (?, ?) RETURNING 1"""

_UNANSWERED: Final = """
SELECT call_id FROM journal WHERE turn = ? AND result_step IS NULL ORDER BY step, position"""

_IS_WAITING: Final = "SELECT 1 FROM inbox WHERE conversation = ? AND turn IS NULL LIMIT 1"

_RELEASE: Final = "UPDATE leases SET holder = NULL WHERE conversation = ?"

_END_TURN: Final = "UPDATE turns SET status = ?, reply = ?, finished_at = ? WHERE number = ?"

_ADD_EVENTS: Final = "INSERT INTO events (turn, seq, event) SELECT ?, key, value FROM json_each(?)"


class TurnRows(MemoryRows):
    """Implements `protocol.TurnLog`, where every method is described."""

    def begin_turn(self, conversation_id: str, message: User) -> TurnRecord:
        """Accept a user message: durable on return."""
        text = message_json(message)
        with self._connection.writing("begin_turn"):
            row = self._conversation_row(conversation_id)
            conversation = row["number"]
            if (open_turn := self._connection.row(_OPEN_TURN, (conversation,))) is not None:
                raise Busy(
                    f"Conversation {conversation_id} is being answered: turn {open_turn['id']} is open.",
                    hint="Wait for its reply. After a crash, finish what open_turns() lists first.",
                )
            if is_held(row, self._sources) or self._connection.row(_IS_WAITING, (conversation,)) is not None:
                raise Busy(
                    f"Conversation {conversation_id} is being answered, or messages wait in its inbox.",
                    hint="`accept` puts a message behind them.",
                )
            return self._add_turn(row, text)[1]

    def record_step(
        self,
        turn_id: str,
        seq: int,
        message: Assistant | ToolResult,
        usage: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Record a finished generation, or the result of a call that was never started."""
        text = message_json(message)
        with self._connection.writing("record_step"):
            turn = self._writable_turn_row(turn_id)
            expected = turn["next_step"]
            if seq != expected:
                state = "is recorded already" if seq < expected else f"comes too early, {expected} is next"
                raise TurnConflict(f"Step {seq} of turn {turn_id} {state}.", hint="Read open_turn() again.")
            if isinstance(message, ToolResult):
                self._answer(turn, message.call_id, ("written",), "finished", seq)
            else:
                self._write_calls(turn, seq, message.calls)
            self._add_step(turn, seq, text, usage)

    def start_call(self, turn_id: str, call: ToolCall, *, effect: ToolEffect, idempotent: bool) -> None:
        """Journal that a call is about to run: durable on return, before the call."""
        with self._connection.writing("start_call"):
            turn = self._writable_turn_row(turn_id)
            row = self._call_row(turn, call.id, ("written",))
            if row["call"] != message_json(call):
                raise TurnConflict(f"Call {call.id} of turn {turn_id} is not the one that was recorded.")
            self._connection.execute(_START_CALL, (effect, int(idempotent), turn["conversation"], call.id))

    def finish_call(
        self, turn_id: str, result: ToolResult, usage: Mapping[str, JsonValue] | None = None
    ) -> int:
        """Record the result of a started call as the next step, and in the journal."""
        return self._end_started(
            "finish_call", turn_id, result, usage, "unknown" if result.status == "unknown" else "finished"
        )

    def resolve_call(self, turn_id: str, call_id: str, result: ToolResult) -> int:
        """Close a started call whose outcome a crash hid."""
        if result.call_id != call_id:
            raise ValueError(f"the result is that of call {result.call_id}, not of {call_id}")
        return self._end_started("resolve_call", turn_id, result, None, "unknown")

    def commit_turn(
        self,
        turn_id: str,
        *,
        reply: Assistant,
        events: Sequence[Event],
        memories: Sequence[NewMemory],
        status: EndStatus,
        results: Sequence[ToolResult] = (),
        hand_off: HandOffChange | None = None,
    ) -> None:
        """End a turn: reply, events, memories, last results, status and queue in one transaction."""
        if reply.calls:
            raise TurnConflict(f"The reply of turn {turn_id} holds calls; record it as a step and run them.")
        text, trace = message_json(reply), _events_json(events)
        with self._connection.writing("commit_turn"):
            turn = self._writable_turn_row(turn_id)
            for seq, result in enumerate(results, start=turn["next_step"]):
                journal_status: JournalStatus = "unknown" if result.status == "unknown" else "finished"
                self._answer(turn, result.call_id, ("written", "started"), journal_status, seq)
                self._add_step(turn, seq, message_json(result), None)
            if turn["lacks_results"]:
                self._check_all_answered(turn)
            self._connection.execute(_END_TURN, (status, text, self._now(), turn["number"]))
            self._connection.execute(_ADD_EVENTS, (turn["number"], trace))
            self._add_memories(memories, turn)
            if reply.by:
                note_answer(self._connection, turn["conversation"], self._now(), self._sources.ticks())
            if hand_off is not None:
                write_change(self._connection, turn["conversation"], turn["number"], hand_off, self._now())
            if self._lease is not None:
                self._connection.execute(_RELEASE, (turn["conversation"],))

    def _end_started(
        self,
        name: str,
        turn_id: str,
        result: ToolResult,
        usage: Mapping[str, JsonValue] | None,
        status: JournalStatus,
    ) -> int:
        text = message_json(result)
        with self._connection.writing(name):
            turn = self._writable_turn_row(turn_id)
            seq = int(turn["next_step"])
            self._answer(turn, result.call_id, ("started",), status, seq)
            self._add_step(turn, seq, text, usage)
        return seq

    def _add_turn(self, conversation: Row, text: str, seq: int | None = None) -> tuple[int, TurnRecord]:
        """Add an open turn with a message (as JSON) and the next number; its row and what it is."""
        turn_id, now = self._ids(), self._clock()
        if seq is None:
            seq = int(self._connection.rows(_NEXT_TURN, (conversation["number"],))[0]["seq"])
        number = self._connection.execute(
            _ADD_TURN, (turn_id, conversation["number"], seq, text, now.isoformat())
        )
        conversation_id = conversation["id"]
        return number, TurnRecord(
            id=turn_id, conversation_id=conversation_id, seq=seq, status="open", created_at=now
        )

    def _add_step(self, turn: Row, seq: int, text: str, usage: Mapping[str, JsonValue] | None) -> None:
        cost = USAGE.dump_json(dict(usage or {})).decode()
        self._connection.execute(_ADD_STEP, (turn["number"], seq, text, cost, self._now()))

    def _write_calls(self, turn: Row, step: int, calls: Sequence[ToolCall]) -> None:
        """Enter the calls of a generation into the journal: from now on each must get exactly one result."""
        for position, call in enumerate(calls):
            values = (
                turn["conversation"],
                call.id,
                turn["number"],
                step,
                position,
                message_json(call),
                self._now(),
            )
            if self._connection.row(_ADD_CALL, values) is None:
                raise TurnConflict(
                    f"Call id {call.id} was used before in this conversation.",
                    hint="Give every call an id of its own: it is also the key that makes a call idempotent.",
                )

    def _call_row(self, turn: Row, call_id: str, expected: tuple[JournalStatus, ...]) -> Row:
        row = self._connection.row(_CALL, (turn["conversation"], call_id, turn["number"]))
        status = "not recorded" if row is None else row["status"]
        if row is None or status not in expected:
            needed = " or ".join(expected)
            raise TurnConflict(f"Call {call_id} of turn {turn['id']} is {status}; this needs it {needed}.")
        return row

    def _answer(
        self, turn: Row, call_id: str, expected: tuple[JournalStatus, ...], status: JournalStatus, step: int
    ) -> None:
        key = (turn["conversation"], call_id, turn["number"])
        if self._connection.row(_END_CALL, (status, step, *key, expected[0], expected[-1])) is None:
            self._call_row(turn, call_id, expected)  # raises: says what it is instead

    def _check_all_answered(self, turn: Row) -> None:
        if unanswered := self._connection.rows(_UNANSWERED, (turn["number"],)):
            names = ", ".join(row["call_id"] for row in unanswered)
            raise TurnConflict(
                f"Turn {turn['id']} cannot be finished: call {names} has no result.",
                hint="Give the missing one in `results`: `interrupted`, or `unknown` if it was started.",
            )


def message_json(value: Message | ToolCall) -> str:
    """A message or a call as it is stored.

    Raises:
        InputRejected: It holds a lone surrogate.
    """
    try:
        return value.model_dump_json() if isinstance(value, ToolCall) else dump_message(value)
    except PydanticSerializationError as problem:
        raise unstorable("the message") from problem


def _events_json(events: Sequence[Event]) -> str:
    try:
        return dump_events(events)
    except PydanticSerializationError as problem:
        raise unstorable("an event") from problem
