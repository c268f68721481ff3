"""The values that a store takes and gives back: frozen, closed, without a trace of a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from pydantic import JsonValue

from agentkit.events import Event
from agentkit.messages import (
    Assistant,
    ToolCall,
    ToolEffect,
    ToolResult,
    TrustLabel,
    User,
    Value,
    unanswered_calls,
)

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[numpy.float32]

TurnStatus: TypeAlias = Literal["open", "done", "limited", "interrupted"]
"""`open` until it is committed; `limited`: a limit ended it; `interrupted`: the user or a crash ended it."""

EndStatus: TypeAlias = Literal["done", "limited", "interrupted"]
"""How a turn can be committed."""

JournalStatus: TypeAlias = Literal["written", "started", "finished", "unknown"]
"""`written`: the generator wrote the call, nothing ran; `started`: it may be running; `finished`: it has a
result; `unknown`: it was started and a crash hid its outcome, which its result says."""

BusyPolicy: TypeAlias = Literal["enqueue", "merge", "interrupt", "reject"]
"""What becomes of a message that comes while the conversation is being answered: it waits for its turn; it waits and is
answered together with the one ahead of it; it waits and the running turn is asked to stop; it is refused."""

MemoryKind: TypeAlias = Literal["message", "fact"]
"""A whole user message, or one sentence that states something."""


class ConversationRecord(Value):
    """One conversation of a user; `seq` counts the user's conversations."""

    id: str
    seq: int
    title: str
    created_at: datetime
    forked_from: str | None = None
    """The turn that it goes on from, if it was forked."""


class TurnRecord(Value):
    """One turn; `seq` counts the turns of its conversation."""

    id: str
    conversation_id: str
    seq: int
    status: TurnStatus
    created_at: datetime
    finished_at: datetime | None = None


class InboxRecord(Value):
    """An accepted message; `seq` counts those of its conversation.

    Args:
        client_msg_id: What the sender called it, so that sending it again does no harm.
        policy: What was asked for in case the conversation is busy.
        message: What was said; None once a turn holds it.
        turn_id: The turn that answers it; None while it waits.
        turn_status: The status of that turn.
    """

    id: str
    conversation_id: str
    seq: int
    client_msg_id: str | None
    policy: BusyPolicy
    message: User | None
    turn_id: str | None
    turn_status: TurnStatus | None
    created_at: datetime


class Lease(Value):
    """The right to answer one conversation; `fence` is greater than that of every lease before it."""

    conversation_id: str
    fence: int


class ConversationKey(Value):
    """Whose conversation it is, and which."""

    tenant: str
    user: str
    conversation_id: str


class StepRecord(Value):
    """One finished step of a turn: a generation or the result of a call, and what it cost."""

    seq: int
    message: Assistant | ToolResult
    usage: dict[str, JsonValue]


class JournalRow(Value):
    """What is known of one call.

    Args:
        turn_id: Its turn.
        call: The call as the generator wrote it.
        status: How far it came.
        effect: What its tool does to the world; None before `start_call`.
        idempotent: Whether running it twice is harmless; None before `start_call`.
        result: What came back, if it has a result.
    """

    turn_id: str
    call: ToolCall
    status: JournalStatus
    effect: ToolEffect | None = None
    idempotent: bool | None = None
    result: ToolResult | None = None

    @property
    def in_doubt(self) -> bool:
        """Started, without a result, and not harmless to repeat: show it, never run it again."""
        return self.status == "started" and not self.idempotent


class OpenTurn(Value):
    """An accepted turn that is not committed, with everything that is needed to go on with it."""

    tenant: str
    user: str
    turn: TurnRecord
    message: User
    steps: tuple[StepRecord, ...]
    journal: tuple[JournalRow, ...]

    @property
    def next_seq(self) -> int:
        """The number that the next `record_step` must carry."""
        return len(self.steps)

    @property
    def in_doubt(self) -> tuple[JournalRow, ...]:
        """The calls whose outcome nobody knows and that may not be repeated."""
        return tuple(row for row in self.journal if row.in_doubt)

    @property
    def unanswered(self) -> tuple[ToolCall, ...]:
        """The calls that were written and have no result, in order."""
        return unanswered_calls([step.message for step in self.steps])


class PastTurn(Value):
    """A committed turn with its trace, for those who look at all of them."""

    tenant: str
    user: str
    turn: TurnRecord
    text: str
    """What the user said."""
    events: tuple[Event, ...]


class Claim(Value):
    """A lease, and the open turn that its holder is to finish: one left behind, or one that was begun just now."""

    lease: Lease
    turn: OpenTurn


class Accepted(Value):
    """What `accept` did.

    Args:
        record: The message as it is stored.
        again: Whether it had been stored before under its `client_msg_id`.
        claim: The lease and the turn to go on with; None when the message waits, or nobody asked for a lease.
    """

    record: InboxRecord
    again: bool = False
    claim: Claim | None = None


@dataclass(frozen=True, eq=False)
class NewMemory:
    """A memory that is to be stored.

    Args:
        kind: A whole message or a fact.
        text: What is recalled.
        trust: The worst label of what it was made from.
        importance: 0 to 1; orders what is kept and shown first, nothing else.
        encoder_id: Which encoder made the vector; empty when there is none.
        vector: float32 [dimension], length 1; None leaves the memory to be embedded later.
        turn_id: The turn it comes from, if it comes from one.
        about: What a fact is about where it has one value at a time, "name" say; empty when that is not known.
        replaces: Ids of facts whose place it takes; they stay as history.
    """

    kind: MemoryKind
    text: str
    trust: TrustLabel
    importance: float
    encoder_id: str
    vector: Vectors | None
    turn_id: str | None = None
    about: str = ""
    replaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.vector is None) == bool(self.encoder_id):
            raise ValueError("a memory has a vector and an encoder_id, or neither")
        if self.vector is not None and self.vector.ndim != 1:
            raise ValueError(f"the vector of a memory is [dimension], not {self.vector.shape}")


class MemoryRecord(Value):
    """A stored memory without its vector; `seq` counts the user's memories.

    `replaced_by` is the id of the fact that took its place, which may be gone.
    """

    id: str
    seq: int
    kind: MemoryKind
    text: str
    trust: TrustLabel
    importance: float
    encoder_id: str
    turn_id: str | None
    conversation_id: str | None
    created_at: datetime
    about: str = ""
    replaced_by: str | None = None


class SummaryRecord(Value):
    """What the turns of a conversation before number `through` said, in short."""

    through: int
    text: str
    trust: TrustLabel


class MemoryMark(Value):
    """How far a reader has seen a user's memories; equal marks mean that nothing changed.

    Args:
        added: How many memories were ever added.
        rewritten: How often one was removed or got another vector.
    """

    added: int
    rewritten: int


class MemoryHead(NamedTuple):
    """What a search knows of a memory beside its vector; `turn_seq` is -1 when it comes from no turn."""

    text: str
    kind: MemoryKind
    conversation_id: str | None
    turn_seq: int
    importance: float
    created_at: datetime


@dataclass(frozen=True, eq=False)
class MemoryChanges:
    """The memories with vectors that came since a mark.

    Args:
        mark: The state that these changes lead to.
        complete: True when everything has to be taken anew: no mark was given, or old rows were rewritten.
        ids: The memories, oldest first.
        heads: One for each id.
        vectors: float32 [len(ids), dimension]; [0, 0] when there are none.
        stale: How many memories among the changes have no vector of this encoder.
    """

    mark: MemoryMark
    complete: bool
    ids: tuple[str, ...]
    heads: tuple[MemoryHead, ...]
    vectors: Vectors
    stale: int
