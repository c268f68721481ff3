"""Turns and the inbox of an in-memory store; the protocol describes every method."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from agentkit.errors import Busy, InputRejected, RecordNotFound, TurnConflict
from agentkit.events import Event
from agentkit.messages import Assistant, ToolCall, ToolEffect, ToolResult, User
from agentkit.store.call_records import awaits_approval
from agentkit.store.hand_off_records import HandOffChange
from agentkit.store.records import (
    Accepted,
    BusyPolicy,
    Claim,
    EndStatus,
    InboxRecord,
    JournalRow,
    JournalStatus,
    Lease,
    NewMemory,
    StepRecord,
    TurnRecord,
)
from agentkit.testing.in_memory_memories import InMemoryMemories
from agentkit.testing.in_memory_queue import note_answer, write_change
from agentkit.testing.in_memory_rows import (
    ConversationData,
    MessageData,
    TurnData,
    check_storable,
    loaded,
    storable_text,
    usage_of,
)


class InMemoryTurns(InMemoryMemories):
    """Implements `protocol.TurnLog`."""

    def begin_turn(self, conversation_id: str, message: User) -> TurnRecord:
        """Accept a user message."""
        check_storable(message)
        with self._use():
            conversation = self._conversation(conversation_id)
            if conversation.open_turn or conversation.is_held or conversation.waiting:
                raise Busy(f"Conversation {conversation_id} is being answered.", hint="Wait for its reply.")
            return self._begin(conversation, message).record

    def record_step(
        self,
        turn_id: str,
        seq: int,
        message: Assistant | ToolResult,
        usage: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Record a finished generation, or the result of a call that was never started."""
        check_storable(message)
        with self._use():
            conversation, turn = self._writable_turn(turn_id)
            if seq != len(turn.steps):
                raise TurnConflict(f"Step {seq} of turn {turn_id} is not the next one, {len(turn.steps)}.")
            if isinstance(message, ToolResult):
                self._answer(turn, message, ("written",), "finished")
            else:
                _write_calls(conversation, turn, message.calls)
            turn.steps.append(StepRecord(seq=seq, message=message, usage=usage_of(usage)))

    def start_call(self, turn_id: str, call: ToolCall, *, effect: ToolEffect, idempotent: bool) -> None:
        """Journal that a call is about to run."""
        with self._use():
            _, turn = self._writable_turn(turn_id)
            row = _call(turn, call.id, ("written",))
            if row.call != call:
                raise TurnConflict(f"Call {call.id} of turn {turn_id} is not the one that was recorded.")
            turn.journal[call.id] = row.model_copy(
                update={"status": "started", "effect": effect, "idempotent": idempotent}
            )

    def finish_call(
        self, turn_id: str, result: ToolResult, usage: Mapping[str, JsonValue] | None = None
    ) -> int:
        """Record the result of a started call as the next step, and in the journal."""
        status: JournalStatus = "unknown" if result.status == "unknown" else "finished"
        return self._finish(turn_id, result, usage, status)

    def resolve_call(self, turn_id: str, call_id: str, result: ToolResult) -> int:
        """Close a started call whose outcome a crash hid."""
        if result.call_id != call_id:
            raise ValueError(f"the result is that of call {result.call_id}, not of {call_id}")
        return self._finish(turn_id, result, None, "unknown")

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
        """End a turn: reply, events, memories, last results, status and queue at once."""
        check_storable(reply, *results, *([] if hand_off is None else [hand_off]), events=events)
        with self._use():
            conversation, turn = self._writable_turn(turn_id)
            if reply.calls:
                raise TurnConflict(f"The reply of turn {turn_id} holds calls.")
            given = [result.call_id for result in results]
            for call_id in given:
                _call(turn, call_id, ("written", "started"))
            left = [row for row in turn.journal.values() if row.result is None and row.call.id not in given]
            if left or len(set(given)) != len(given):
                raise TurnConflict(f"Turn {turn_id} cannot be finished: a call would not have one result.")
            self._check_memories(memories)
            if reply.by:
                note_answer(self._data, conversation)
            if hand_off is not None:
                write_change(self._data, conversation, turn, hand_off)
            for result in results:
                self._append(turn, result, None, "unknown" if result.status == "unknown" else "finished")
            turn.reply, turn.events = reply, tuple(events)
            turn.record = turn.record.model_copy(update={"status": status, "finished_at": self._data.clock()})
            self._add_memories(memories, turn_id)
            if self._lease is not None:
                conversation.is_leased = False

    def _begin(self, conversation: ConversationData, message: User) -> TurnData:
        record = TurnRecord(
            id=self._data.ids(),
            conversation_id=conversation.record.id,
            seq=len(conversation.turns),
            status="open",
            created_at=self._data.clock(),
        )
        turn = TurnData(record, message)
        conversation.turns.append(turn)
        self._data.turns[record.id] = (conversation, turn)
        return turn

    def _finish(
        self,
        turn_id: str,
        result: ToolResult,
        usage: Mapping[str, JsonValue] | None,
        status: JournalStatus,
    ) -> int:
        check_storable(result)
        with self._use():
            _, turn = self._writable_turn(turn_id)
            _call(turn, result.call_id, ("started",))
            return self._append(turn, result, usage, status)

    def _append(
        self, turn: TurnData, result: ToolResult, usage: Mapping[str, JsonValue] | None, status: JournalStatus
    ) -> int:
        self._answer(turn, result, ("written", "started"), status)
        step = StepRecord(seq=len(turn.steps), message=result, usage=usage_of(usage))
        turn.steps.append(step)
        return step.seq

    def _answer(
        self, turn: TurnData, result: ToolResult, expected: tuple[JournalStatus, ...], status: JournalStatus
    ) -> None:
        row = _call(turn, result.call_id, expected)
        turn.journal[result.call_id] = row.model_copy(update={"status": status, "result": result})


def _refuse_if_a_person_decides(conversation: ConversationData) -> None:
    asked = () if conversation.open_turn is None else conversation.open_turn.approvals.values()
    if waiting := [record.id for record in asked if record.status == "waiting"]:
        raise awaits_approval(conversation.record.id, waiting, "Nothing was stored.")


class InMemoryInbox(InMemoryTurns):
    """Implements `protocol.Inbox`, all but `under`."""

    def accept(
        self,
        conversation_id: str,
        message: User,
        *,
        client_msg_id: str | None = None,
        policy: BusyPolicy = "enqueue",
        room: int = 16,
        claim_seconds: float | None = None,
    ) -> Accepted:
        """Accept a user message, and begin its turn if the conversation is free."""
        check_storable(message)
        name = None if client_msg_id is None else storable_text(client_msg_id, "client_msg_id")
        with self._use():
            conversation = self._conversation(conversation_id)
            for known in conversation.inbox if name is not None else ():
                if known.client_msg_id == name:
                    if known.message != message:
                        raise InputRejected(f"client_msg_id {name!r} belongs to another message.")
                    return Accepted(record=_record(conversation, known), again=True)
            _refuse_if_a_person_decides(conversation)
            held = conversation.is_held
            if (held and policy == "reject") or len(conversation.waiting) >= room:
                raise Busy(f"Conversation {conversation_id} is busy. Nothing was stored.", hint="Try again.")
            data = MessageData(
                self._data.ids(), len(conversation.inbox), name, policy, message, self._data.clock()
            )
            conversation.inbox.append(data)
            self._data.messages[data.id] = (conversation, data)
            conversation.stop |= held and policy == "interrupt"
            claim = None if claim_seconds is None or held else self._claim(conversation, claim_seconds)
            return Accepted(record=_record(conversation, data), claim=claim)

    def accepted(self, message_id: str) -> InboxRecord:
        """What became of an accepted message."""
        with self._use():
            found = self._data.messages.get(message_id)
            if found is None or found[0].owner != self._owner:
                raise RecordNotFound(f"User {self.user!r} has no message {message_id!r}.")
            return _record(*found)

    def waiting(self, conversation_id: str) -> list[InboxRecord]:
        """The messages of a conversation that no turn holds yet, in order."""
        with self._use():
            conversation = self._conversation(conversation_id)
            return [_record(conversation, each) for each in conversation.waiting]

    def claim(self, conversation_id: str, seconds: float) -> Claim | None:
        """Take the lease of a conversation with something to do, and what is to be done."""
        with self._use():
            conversation = self._conversation(conversation_id)
            if conversation.is_held:
                raise Busy(f"Conversation {conversation_id} is being answered.", hint="Wait for its reply.")
            return self._claim(conversation, seconds)

    def release(self, lease: Lease) -> None:
        """Give a lease back; does nothing when it is not the newest one."""
        with self._use():
            conversation = self._conversation(lease.conversation_id)
            if conversation.fence == lease.fence:
                conversation.is_leased = False

    def stop_requested(self, lease: Lease) -> bool:
        """Whether the holder of a lease is to end its turn."""
        with self._use():
            found = self._data.conversations.get(lease.conversation_id)
            if found is None or found.owner != self._owner:
                return True
            return found.fence != lease.fence or found.stop

    def _claim(self, conversation: ConversationData, seconds: float) -> Claim | None:
        if any(data.record.keeps_the_bot_silent for data in conversation.hand_offs):
            return None
        if conversation.open_turn is None and self._begin_next(conversation) is None:
            return None
        return self._leased(conversation, seconds)

    def _leased(self, conversation: ConversationData, seconds: float) -> Claim:
        turn = conversation.open_turn
        assert turn is not None
        conversation.fence += 1
        conversation.is_leased, conversation.stop = True, False
        conversation.until = time.monotonic() + seconds
        lease = Lease(conversation_id=conversation.record.id, fence=conversation.fence)
        return Claim(lease=lease, turn=loaded(conversation, turn))

    def _begin_next(self, conversation: ConversationData, *, all_of_them: bool = False) -> TurnData | None:
        taken = conversation.waiting[:1]
        for message in conversation.waiting[1:]:
            if message.policy != "merge" and not all_of_them:
                break
            taken.append(message)
        if not taken:
            return None
        parts = tuple(part for message in taken for part in message.message.parts)
        turn = self._begin(conversation, User(parts=parts))
        for message in taken:
            message.turn = turn
        return turn


def _call(turn: TurnData, call_id: str, expected: tuple[JournalStatus, ...]) -> JournalRow:
    row = turn.journal.get(call_id)
    if row is None or row.status not in expected:
        raise TurnConflict(f"Call {call_id} of turn {turn.record.id} is not {' or '.join(expected)}.")
    return row


def _write_calls(conversation: ConversationData, turn: TurnData, calls: Sequence[ToolCall]) -> None:
    known = {call_id for each in conversation.turns for call_id in each.journal}
    ids = [call.id for call in calls]
    if known.intersection(ids) or len(set(ids)) != len(ids):
        raise TurnConflict("A call id was used before in this conversation.")
    for call in calls:
        turn.journal[call.id] = JournalRow(turn_id=turn.record.id, call=call, status="written")


def _record(conversation: ConversationData, data: MessageData) -> InboxRecord:
    turn = data.turn
    return InboxRecord(
        id=data.id,
        conversation_id=conversation.record.id,
        seq=data.seq,
        client_msg_id=data.client_msg_id,
        policy=data.policy,
        message=data.message if turn is None else None,
        turn_id=None if turn is None else turn.record.id,
        turn_status=None if turn is None else turn.record.status,
        created_at=data.created_at,
    )
