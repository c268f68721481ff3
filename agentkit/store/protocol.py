"""What a store promises: no SQL, no connection and no clock in here; the values are in `records`.

The contract, which the tests enforce line by line:

1. **Accepted is stored.** When `begin_turn` returns, the user message survives a crash.
2. **A turn is all or nothing.** Reply, events, memories and the status of its turn become visible together.
3. **A finished step never runs again.** A recorded step is read back on resume; a second record is refused.
4. **A tool with an effect runs at most once**, unless it is idempotent. Its journal row is durable before the
   call; a call that was started and has no result after a crash is in doubt: it is shown, never repeated.
5. **One conversation, one order.** Turns, steps and events have a dense `seq` from 0; time orders nothing.
6. **The database cannot run code.** Rows come back through closed models; what does not fit is refused.

The life of a turn::

    begin_turn -> record_step (a generation) -> start_call -> finish_call -> record_step ... -> commit_turn
                                             `> record_step (result of a call that needs no journal)

Several threads and processes may work on one store. `accept` puts a message into the inbox of its conversation;
whoever has the **lease** of the conversation (`claim`) finishes its open turn, or begins the next one from the
inbox. A lease ends with the turn, after its seconds, or when its process is found dead. Its **fence** is a number
that only grows: turns are written through `under(lease)`, and a worker that lost its lease without noticing is
refused (`LeaseLost`) instead of disturbing the one that has it now::

    accept(claim_seconds=…) or claim -> under(lease) -> ... -> commit_turn (gives the lease back)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pydantic import JsonValue

from agentkit.events import Event
from agentkit.messages import Assistant, Message, ToolCall, ToolEffect, ToolResult, User
from agentkit.store.call_records import ApprovalRecord, FileRecord, NewApproval
from agentkit.store.calls_protocol import Approvals, Files
from agentkit.store.erasure_records import ErasedKinds, ErasureReceipt, Retention
from agentkit.store.hand_off_protocol import HandOffs
from agentkit.store.hand_off_records import HandOffChange, HandOffRecord
from agentkit.store.inbox_protocol import Inbox
from agentkit.store.knowledge_protocol import KnowledgeTable
from agentkit.store.knowledge_records import ChunkRecord, DocumentRecord, NewChunk, NewDocument
from agentkit.store.memory_protocol import Erasable, Memories
from agentkit.store.records import (
    Accepted,
    BusyPolicy,
    Claim,
    ConversationKey,
    ConversationRecord,
    EndStatus,
    InboxRecord,
    JournalRow,
    JournalStatus,
    Lease,
    MemoryChanges,
    MemoryKind,
    MemoryMark,
    MemoryRecord,
    NewMemory,
    OpenTurn,
    PastTurn,
    StepRecord,
    SummaryRecord,
    TurnRecord,
    TurnStatus,
)

if TYPE_CHECKING:
    from pathlib import Path


__all__ = [
    "Accepted",
    "ApprovalRecord",
    "Approvals",
    "BusyPolicy",
    "ChunkRecord",
    "Claim",
    "ConversationKey",
    "ConversationRecord",
    "Conversations",
    "DocumentRecord",
    "EndStatus",
    "Erasable",
    "ErasedKinds",
    "ErasureReceipt",
    "FileRecord",
    "Files",
    "HandOffChange",
    "HandOffRecord",
    "HandOffs",
    "Inbox",
    "InboxRecord",
    "JournalRow",
    "JournalStatus",
    "KnowledgeTable",
    "Lease",
    "Memories",
    "MemoryChanges",
    "MemoryKind",
    "MemoryMark",
    "MemoryRecord",
    "NewApproval",
    "NewChunk",
    "NewDocument",
    "NewMemory",
    "OpenTurn",
    "PastTurn",
    "Retention",
    "StepRecord",
    "Store",
    "SummaryRecord",
    "TurnLog",
    "TurnRecord",
    "TurnStatus",
    "UserStore",
]


class Conversations(Protocol):
    """The conversations of one user, and what was said in them."""

    def new_conversation(self, title: str = "") -> str:
        """Start a conversation and return its id."""
        ...

    def conversations(self) -> list[ConversationRecord]:
        """The user's conversations, oldest first."""
        ...

    def latest_conversation(self) -> str | None:
        """The id of the conversation that was started last, if there is one."""
        ...

    def open_turn(self, turn_id: str) -> OpenTurn:
        """An open turn with its recorded steps and its journal, to go on with it.

        Raises:
            TurnConflict: The turn is committed.
        """
        ...

    def transcript(self, conversation_id: str, *, last_turns: int | None = None) -> tuple[Message, ...]:
        """What was said, in order: committed turns only, every call with exactly one result.

        A turn contributes its user message, the generations that call tools with the results, and the reply.
        Drafts that were not sent are steps, not part of the transcript.

        Args:
            conversation_id: The conversation.
            last_turns: Only so many of the latest committed turns.
        """
        ...

    def turns(self, conversation_id: str, *, last: int | None = None) -> list[TurnRecord]:
        """The turns of a conversation, open ones too, in order.

        Args:
            conversation_id: The conversation.
            last: Only so many of the latest.
        """
        ...

    def fork(self, turn_id: str, title: str = "") -> str:
        """Start a conversation that goes on from a turn, and return its id.

        It has turns of its own with what was said, done and recorded up to that turn; the old conversation stays
        as it is. What is remembered of the user is not doubled.

        Raises:
            TurnConflict: The turn is not committed.
        """
        ...

    def events(self, turn_id: str) -> tuple[Event, ...]:
        """The trace of a committed turn, in order."""
        ...

    def journal(self, turn_id: str) -> list[JournalRow]:
        """The calls of a turn, in the order they were written."""
        ...

    def summary(self, conversation_id: str, through: int) -> SummaryRecord | None:
        """The longest summary of the conversation that ends at turn `through` or before."""
        ...

    def add_summary(self, conversation_id: str, summary: SummaryRecord) -> None:
        """Keep a summary; one that ends at the same turn stays as it is."""
        ...


class TurnLog(Protocol):
    """The writes of a turn, each durable when it returns.

    Each raises `LeaseLost`, and writes nothing, where another worker has the lease of the conversation.
    """

    def begin_turn(self, conversation_id: str, message: User) -> TurnRecord:
        """Accept a user message: durable on return.

        Raises:
            Busy: The conversation has an open turn, a lease or waiting messages: it is being answered.
            InputRejected: The text cannot be stored (a lone surrogate); nothing was.
        """
        ...

    def record_step(
        self,
        turn_id: str,
        seq: int,
        message: Assistant | ToolResult,
        usage: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Record a finished generation, or the result of a call that was never started: durable on return.

        Args:
            turn_id: An open turn.
            seq: The number of the step: steps count from 0 without a gap.
            message: What was written, or what came of a call that was refused or needs no journal.
            usage: What it cost.

        Raises:
            TurnConflict: The turn is not open, the step is already recorded or out of order, a call id was
                used before in the conversation, or the result belongs to no call that waits for one.
        """
        ...

    def start_call(self, turn_id: str, call: ToolCall, *, effect: ToolEffect, idempotent: bool) -> None:
        """Journal that a call is about to run: durable on return, before the call.

        Raises:
            TurnConflict: No recorded step holds this very call, or it was started or answered already.
        """
        ...

    def finish_call(
        self, turn_id: str, result: ToolResult, usage: Mapping[str, JsonValue] | None = None
    ) -> int:
        """Record the result of a started call as the next step, and in the journal, in one transaction.

        Returns:
            The number of the step.

        Raises:
            TurnConflict: The call was not started, or has a result already.
        """
        ...

    def resolve_call(self, turn_id: str, call_id: str, result: ToolResult) -> int:
        """Close a started call whose outcome a crash hid: `finish_call`, but the journal says `unknown`."""
        ...

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
        """End a turn: reply, events, memories, last results, status and queue in one transaction.

        Args:
            turn_id: An open turn.
            reply: What the user is told; it holds no calls. Without parts it does not enter the transcript.
            events: The trace, in order.
            memories: What is remembered of the turn; those without a `turn_id` get this one.
            status: How it ended.
            results: Results of calls that have none yet, of status `interrupted`, say. A started call whose
                result has the status `unknown` is `unknown` in the journal, too.
            hand_off: What the turn does to the queue of people: the conversation enters it, the customer says how to
                be called, or a person is done with it.

        Raises:
            TurnConflict: The turn is not open, or a call would be left without a result.
        """
        ...


class UserStore(Conversations, Inbox, TurnLog, HandOffs, Memories, Approvals, Files, Erasable, Protocol):
    """Everything one user of one tenant has; nothing of anybody else can be reached through it.

    An id that belongs to somebody else raises `RecordNotFound`, exactly like one that does not exist.
    """

    @property
    def tenant(self) -> str:
        """The tenant."""
        ...

    @property
    def user(self) -> str:
        """The user."""
        ...


class Store(Protocol):
    """A store of conversations, for many users."""

    def for_user(self, tenant: str, user: str) -> UserStore:
        """The only way to anybody's data."""
        ...

    def open_turns(self) -> list[OpenTurn]:
        """Every accepted turn that is not committed, of all users, in the order they were accepted."""
        ...

    def expire(
        self, retention: Retention, *, wait: float = 30.0, beside: Sequence[Path] = ()
    ) -> ErasureReceipt:
        """Erase what is older than it may be, of all users, as `erase` does; an open turn does not expire."""
        ...

    def expired(self, retention: Retention) -> ErasedKinds:
        """What `expire` would erase now."""

    def unattended(self) -> list[ConversationKey]:
        """The conversations, of all users, with an open turn or a waiting message that nobody has the lease of.

        The oldest conversation comes first; those that are with a person are left out.
        """
        ...

    def remembered_users(self) -> list[tuple[str, str]]:
        """Tenant and name of every user of whom something is remembered, in their order."""
        ...

    def waiting_approvals(self) -> list[ApprovalRecord]:
        """Every request that waits for a person, of all users, oldest first."""
        ...

    def queue(self) -> list[HandOffRecord]:
        """Every hand-off that is not over, of all users: higher priority first, then older."""
        ...

    def past_turns(self, since: datetime | None = None) -> Iterator[PastTurn]:
        """Every committed turn, of all users, that began then or later, oldest first; it is read page by page."""
        ...

    def past_hand_offs(self) -> list[HandOffRecord]:
        """Every hand-off there ever was, of all users, oldest first."""
        ...

    def knowledge(self, tenant: str, collection: str = "knowledge") -> KnowledgeTable:
        """The documents of a tenant under one name."""
        ...

    def close(self) -> None:
        """Close the store; later calls fail with `StoreError`. Closing twice is harmless."""
        ...
