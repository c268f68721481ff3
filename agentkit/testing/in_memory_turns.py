"""Turns, conversations and the inbox of an in-memory store; the protocol describes every method."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from agentkit.errors import Busy, InputRejected, RecordNotFound, TurnConflict
from agentkit.events import Event
from agentkit.messages import Assistant, Message, ToolCall, ToolEffect, ToolResult, User
from agentkit.store.records import (
    Accepted,
    BusyPolicy,
    Claim,
    ConversationRecord,
    EndStatus,
    InboxRecord,
    JournalRow,
    JournalStatus,
    Lease,
    NewMemory,
    OpenTurn,
    StepRecord,
    SummaryRecord,
    TurnRecord,
)
from agentkit.testing.in_memory_memories import InMemoryMemories
from agentkit.testing.in_memory_rows import (
    ConversationData,
    MessageData,
    TurnData,
    UserData,
    check_storable,
    loaded,
    said_in,
    storable_text,
    usage_of,
)


class InMemoryConversations(UserData):
    """Implements `protocol.Conversations`."""

    def new_conversation(self, title: str = "") -> str:
        """Start a conversation and return its id."""
        with self._use():
            return self._new(storable_text(title, "the title"), None).record.id

    def conversations(self) -> list[ConversationRecord]:
        """The user's conversations, oldest first."""
        with self._use():
            return [each.record for each in self._data.conversations.values() if each.owner == self._owner]

    def latest_conversation(self) -> str | None:
        """The id of the conversation that was started last, if there is one."""
        return next((record.id for record in self.conversations()[::-1]), None)

    def open_turn(self, turn_id: str) -> OpenTurn:
        """An open turn with its recorded steps and its journal."""
        with self._use():
            return loaded(*self._open_turn(turn_id))

    def transcript(self, conversation_id: str, *, last_turns: int | None = None) -> tuple[Message, ...]:
        """What was said, in order: committed turns only."""
        with self._use():
            turns = [turn for turn in self._conversation(conversation_id).turns if not turn.is_open]
            return tuple(message for turn in _last(turns, last_turns) for message in said_in(turn))

    def turns(self, conversation_id: str, *, last: int | None = None) -> list[TurnRecord]:
        """The turns of a conversation, open ones too, in order."""
        with self._use():
            return [turn.record for turn in _last(self._conversation(conversation_id).turns, last)]

    def fork(self, turn_id: str, title: str = "") -> str:
        """Start a conversation that goes on from a turn."""
        with self._use():
            source, last = self._turn(turn_id)
            if last.is_open:
                raise TurnConflict(f"Turn {turn_id} is not finished: nothing can go on from it yet.")
            fork = self._new(storable_text(title, "the title"), turn_id)
            for turn in source.turns[: last.record.seq + 1]:
                ids = {"id": self._data.ids(), "conversation_id": fork.record.id}
                record = turn.record.model_copy(update=ids)
                journal = {
                    call_id: row.model_copy(update={"turn_id": record.id})
                    for call_id, row in turn.journal.items()
                }
                copy = TurnData(record, turn.message, turn.reply, list(turn.steps), journal, turn.events)
                fork.turns.append(copy)
                self._data.turns[record.id] = (fork, copy)
            return fork.record.id

    def events(self, turn_id: str) -> tuple[Event, ...]:
        """The trace of a committed turn, in order."""
        with self._use():
            return self._turn(turn_id)[1].events

    def journal(self, turn_id: str) -> list[JournalRow]:
        """The calls of a turn, in the order they were written."""
        with self._use():
            return list(self._turn(turn_id)[1].journal.values())

    def summary(self, conversation_id: str, through: int) -> SummaryRecord | None:
        """The longest summary that ends at turn `through` or before."""
        with self._use():
            summaries = self._conversation(conversation_id).summaries
            return max(
                (each for each in summaries.values() if each.through <= through),
                key=lambda each: each.through,
                default=None,
            )

    def add_summary(self, conversation_id: str, summary: SummaryRecord) -> None:
        """Keep a summary; one that ends at the same turn stays as it is."""
        storable_text(summary.text, "the summary")
        with self._use():
            self._conversation(conversation_id).summaries.setdefault(summary.through, summary)

    def _new(self, title: str, forked_from: str | None) -> ConversationData:
        record = ConversationRecord(
            id=self._data.ids(),
            seq=len(self.conversations()),
            title=title,
            created_at=self._data.clock(),
            forked_from=forked_from,
        )
        made = ConversationData(self._owner, record)
        self._data.conversations[record.id] = made
        return made


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
    ) -> None:
        """End a turn: reply, events, memories, last results and status at once."""
        for value in (reply, *results, *events):
            check_storable(value)
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
        turn = conversation.open_turn or self._begin_next(conversation)
        if turn is None:
            return None
        conversation.fence += 1
        conversation.is_leased, conversation.stop = True, False
        conversation.until = time.monotonic() + seconds
        lease = Lease(conversation_id=conversation.record.id, fence=conversation.fence)
        return Claim(lease=lease, turn=loaded(conversation, turn))

    def _begin_next(self, conversation: ConversationData) -> TurnData | None:
        taken = conversation.waiting[:1]
        for message in conversation.waiting[1:]:
            if message.policy != "merge":
                break
            taken.append(message)
        if not taken:
            return None
        parts = tuple(part for message in taken for part in message.message.parts)
        turn = self._begin(conversation, User(parts=parts))
        for message in taken:
            message.turn = turn
        return turn


def _last(turns: list[TurnData], last: int | None) -> list[TurnData]:
    if last is not None and last < 0:
        raise ValueError(f"a number of turns cannot be {last}")
    return turns if last is None else turns[max(0, len(turns) - last) :]


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
