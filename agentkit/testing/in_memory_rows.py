"""What an in-memory store keeps, and how it finds it; `in_memory_store` has the store itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy
from pydantic import JsonValue
from pydantic_core import PydanticSerializationError

from agentkit.errors import InputRejected, LeaseLost, RecordNotFound, StoreError, TurnConflict
from agentkit.events import Event, dump_events
from agentkit.messages import Assistant, Message, ToolCall, ToolResult, User
from agentkit.store.call_records import ApprovalRecord, FileRecord, NewApproval
from agentkit.store.hand_off_records import HandOffChange, HandOffRecord
from agentkit.store.identifiers import Clock, Ids, new_id, utc_now
from agentkit.store.knowledge_records import ChunkRecord, DocumentRecord
from agentkit.store.records import (
    BusyPolicy,
    ConversationRecord,
    JournalRow,
    Lease,
    MemoryRecord,
    OpenTurn,
    StepRecord,
    SummaryRecord,
    TurnRecord,
)

if TYPE_CHECKING:
    from agentkit.store.records import Vectors

Owner = tuple[str, str]
"""Tenant and user."""


@dataclass
class TurnData:
    """One turn with everything that belongs to it; `journal` and `approvals` are by call id, in order."""

    record: TurnRecord
    message: User
    reply: Assistant | None = None
    steps: list[StepRecord] = field(default_factory=list)
    journal: dict[str, JournalRow] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    approvals: dict[str, ApprovalRecord] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it is not committed yet."""
        return self.record.status == "open"


@dataclass
class MessageData:
    """One accepted message; `turn` once a turn holds it."""

    id: str
    seq: int
    client_msg_id: str | None
    policy: BusyPolicy
    message: User
    created_at: datetime
    turn: TurnData | None = None


@dataclass
class HandOffData:
    """One hand-off; `acknowledged`: of whom the customer was told that they answer, None of nobody."""

    record: HandOffRecord
    until: float = 0.0
    seconds: float = 0.0
    acknowledged: str | None = None


@dataclass
class ConversationData:
    """One conversation: its turns, its inbox, summaries by where they end, and its newest lease."""

    owner: Owner
    record: ConversationRecord
    turns: list[TurnData] = field(default_factory=list)
    inbox: list[MessageData] = field(default_factory=list)
    summaries: dict[int, SummaryRecord] = field(default_factory=dict)
    hand_offs: list[HandOffData] = field(default_factory=list)
    fence: int = 0
    is_leased: bool = False
    until: float = 0.0
    stop: bool = False

    @property
    def is_held(self) -> bool:
        """Whether somebody has the lease."""
        return self.is_leased and time.monotonic() < self.until

    @property
    def open_turn(self) -> TurnData | None:
        """The turn that is not committed."""
        return next((turn for turn in self.turns[-1:] if turn.is_open), None)

    @property
    def waiting(self) -> list[MessageData]:
        """The messages that no turn holds."""
        return [message for message in self.inbox if message.turn is None]


@dataclass
class MemoryData:
    """One memory with its vector, float32 [dimension]."""

    record: MemoryRecord
    vector: Vectors | None


@dataclass
class KnowledgeData:
    """The documents of one collection, their chunks by id, and how often anything was written."""

    documents: dict[str, DocumentRecord] = field(default_factory=dict)
    chunks: dict[int, tuple[ChunkRecord, Vectors]] = field(default_factory=dict)
    version: int = 0


@dataclass
class InMemoryData:
    """Everything that stores share that were made of it, as processes share a file.

    Args:
        clock: Gives the present time, aware and in UTC.
        ids: Gives new ids.
    """

    clock: Clock = utc_now
    ids: Ids = new_id
    lock: threading.RLock = field(default_factory=threading.RLock)
    conversations: dict[str, ConversationData] = field(default_factory=dict)
    turns: dict[str, tuple[ConversationData, TurnData]] = field(default_factory=dict)
    messages: dict[str, tuple[ConversationData, MessageData]] = field(default_factory=dict)
    memories: dict[Owner, dict[str, MemoryData]] = field(default_factory=dict)
    added: dict[Owner, int] = field(default_factory=dict)
    rewritten: dict[Owner, int] = field(default_factory=dict)
    files: dict[Owner, dict[str, FileRecord]] = field(default_factory=dict)
    knowledge: dict[Owner, KnowledgeData] = field(default_factory=dict)
    chunks_made: int = 0


class UserData:
    """The data of one user; the base of the groups of methods.

    Args:
        data: All data.
        owner: Whose part it is.
        is_closed: Whether the store was closed.
        lease: The lease under which turns are written; None: only where nobody holds one.
    """

    def __init__(
        self, data: InMemoryData, owner: Owner, is_closed: Callable[[], bool], lease: Lease | None = None
    ) -> None:
        self._data = data
        self._owner = owner
        self._is_closed = is_closed
        self._lease = lease

    @property
    def tenant(self) -> str:
        """The tenant."""
        return self._owner[0]

    @property
    def user(self) -> str:
        """The user."""
        return self._owner[1]

    def _use(self) -> threading.RLock:
        """The lock of the data, if the store is open; every public method holds it."""
        if self._is_closed():
            raise StoreError("The store is closed.", hint="Open it again.")
        return self._data.lock

    def _conversation(self, conversation_id: str) -> ConversationData:
        found = self._data.conversations.get(conversation_id)
        if found is None or found.owner != self._owner:
            raise RecordNotFound(f"User {self.user!r} has no conversation {conversation_id!r}.")
        return found

    def _turn(self, turn_id: str) -> tuple[ConversationData, TurnData]:
        found = self._data.turns.get(turn_id)
        if found is None or found[0].owner != self._owner:
            raise RecordNotFound(f"User {self.user!r} has no turn {turn_id!r}.")
        return found

    def _open_turn(self, turn_id: str) -> tuple[ConversationData, TurnData]:
        conversation, turn = self._turn(turn_id)
        _check_open(turn)
        return conversation, turn

    def _writable_turn(self, turn_id: str) -> tuple[ConversationData, TurnData]:
        conversation, turn = self._turn(turn_id)
        mine = self._lease
        allowed = (
            not conversation.is_held
            if mine is None
            else conversation.is_leased and conversation.fence == mine.fence
        )
        if not allowed:
            raise LeaseLost(f"The conversation of turn {turn_id} is being answered by another worker.")
        _check_open(turn)
        return conversation, turn


def _check_open(turn: TurnData) -> None:
    if not turn.is_open:
        raise TurnConflict(f"Turn {turn.record.id} is finished ({turn.record.status}).")


def loaded(conversation: ConversationData, turn: TurnData) -> OpenTurn:
    """Everything about an open turn."""
    return OpenTurn(
        tenant=conversation.owner[0],
        user=conversation.owner[1],
        turn=turn.record,
        message=turn.message,
        steps=tuple(turn.steps),
        journal=tuple(turn.journal.values()),
    )


def said_in(turn: TurnData) -> tuple[Message, ...]:
    """What a committed turn adds to the transcript."""
    assert turn.reply is not None
    between = (step.message for step in turn.steps)
    kept = tuple(message for message in between if isinstance(message, ToolResult) or message.calls)
    return (turn.message, *kept, *((turn.reply,) if turn.reply.parts else ()))


def storable_text(text: str, what: str) -> str:
    """`text`, if it has a UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        raise InputRejected(f"The text of {what} holds a lone surrogate. Nothing was stored.") from problem
    return text


def check_storable(
    *values: Message | ToolCall | NewApproval | HandOffChange, events: Sequence[Event] = ()
) -> None:
    """Refuse values with a text that has no UTF-8 form."""
    try:
        for value in values:
            value.model_dump_json()
        dump_events(events)
    except PydanticSerializationError as problem:
        raise InputRejected("A text holds a lone surrogate. Nothing was stored.") from problem


def usage_of(usage: object) -> dict[str, JsonValue]:
    """What a step cost, as a copy."""
    return dict(usage) if usage else {}  # type: ignore[call-overload]


def stacked(vectors: Sequence[Vectors]) -> Vectors:
    """float32 [n, dimension], [0, 0] without vectors."""
    return numpy.stack(vectors) if vectors else numpy.zeros((0, 0), dtype=numpy.float32)
