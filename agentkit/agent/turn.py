"""The working state of one turn: its parts, its transcript, and what a crashed predecessor already did."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from pydantic import JsonValue

from agentkit.agent.ranking import ToolPool, ToolRanking
from agentkit.agent.replies import Replies
from agentkit.agent.settings import Settings
from agentkit.events import Event
from agentkit.intents import Binding, IntentModel
from agentkit.knowledge.answerability import Judge
from agentkit.knowledge.index import KnowledgeIndex
from agentkit.messages import Assistant, Message, Part, System, ToolCall, ToolResult
from agentkit.models.protocols import Encoder, Generator
from agentkit.prompts import PromptLibrary
from agentkit.store.protocol import ApprovalRecord, JournalRow, Lease, UserStore
from agentkit.tools import issued_handles

if TYPE_CHECKING:
    from agentkit.memory import Recall
    from agentkit.service.book import FlowBook
    from agentkit.service.dialogue import Dialogue


Settle: TypeAlias = Callable[[JournalRow], bool | None]
"""Asked about a call whose outcome a crash hid: True, it was done; False, it was not; None, nobody knows."""

_LOOK_SECONDS = 0.25  # between two looks into the store for a reason to stop


@dataclass(frozen=True)
class Wiring:
    """The parts of an agent, shared by all its turns."""

    generator: Generator
    encoder: Encoder
    tools: ToolPool
    intents: IntentModel | None
    bindings: Mapping[str, Binding]
    knowledge: KnowledgeIndex | None
    judge: Judge
    prompts: PromptLibrary
    replies: Replies
    settings: Settings
    system: System
    now: Callable[[], datetime]
    flows: FlowBook | None = None


@dataclass
class Turn:
    """One user message on its way to a reply.

    Args:
        wiring: The agent's parts.
        store: The user's part of the store.
        recall: The user's memories.
        tenant, user, conversation_id, turn_id: Where the turn belongs.
        profile: What the application knows about the signed-in user.
        text: The accepted user message.
        history: Committed messages of earlier turns.
        lease: The right to answer the conversation.
        settle: Asked about calls whose outcome a crash hid: whether they were done, None if nobody knows.
        history_from: How many turns were before those of `history`.
        summaries: What the turns before a number said, where that is known; one is enough, and it never changes.
        recorded: Steps that a crashed process finished: they are replayed, never run again.
        journal: Calls that a crashed process wrote or started, by call id.
        transcript: Calls and results of this turn so far.
        events: The trace so far.
        approvals: What was decided about calls of this turn, or is waited for, by call id.
        paused: The turn waits for a person; it is not committed.
        started_calls: Calls with an effect that this process has started.
        tools: The tools that this turn may use.
        dialogue: What the flows of the bot make of the message.
        reply: What the commit stored, where all calls had their results before it.
        stop: Set when the turn is to end early; a generation sees it at once, a tool is waited for.
    """

    wiring: Wiring
    store: UserStore
    recall: Recall
    tenant: str
    user: str
    conversation_id: str
    turn_id: str
    text: str
    history: tuple[Message, ...]
    lease: Lease
    settle: Settle
    history_from: int = 0
    summaries: dict[int, Part | None] = field(default_factory=dict)
    profile: Mapping[str, JsonValue] = field(default_factory=dict)
    recorded: list[Message] = field(default_factory=list)
    journal: dict[str, JournalRow] = field(default_factory=dict)
    transcript: list[Message] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    approvals: dict[str, ApprovalRecord] = field(default_factory=dict)
    paused: bool = False
    started_calls: set[str] = field(default_factory=set)
    tools: ToolRanking = field(default_factory=ToolRanking)
    dialogue: Dialogue | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    looked_at: float = field(default_factory=time.monotonic)
    reply: Assistant | None = None
    tokens_written: int = 0
    committed: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float:
        """`time.monotonic()` value at which the turn is over."""
        return self.started + self.wiring.settings.limits.seconds

    @property
    def tokens_left(self) -> int:
        """Tokens that may still be written."""
        return self.wiring.settings.limits.tokens - self.tokens_written

    @property
    def permissions(self) -> frozenset[str]:
        """What the application says that the user may do."""
        found = self.profile.get("permissions", ())
        return frozenset(map(str, found)) if isinstance(found, list) else frozenset()

    def is_stopped(self) -> bool:
        """Whether a newer message ended the turn; what other processes accepted is looked up now and then."""
        if not self.stop.is_set() and time.monotonic() - self.looked_at > _LOOK_SECONDS:
            self.looked_at = time.monotonic()
            if self.store.stop_requested(self.lease):
                self.stop.set()
        return self.stop.is_set()

    def next_sequence(self) -> int:
        """Dense number of the next step of this turn."""
        return len(self.transcript)

    def take_recorded_reply(self) -> Assistant | None:
        """The generation that a crashed process finished at this point, if it did."""
        position = self.next_sequence()
        if position < len(self.recorded) and isinstance(self.recorded[position], Assistant):
            found = self.recorded[position]
            assert isinstance(found, Assistant)
            return found
        return None

    def take_recorded_results(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """The results that an earlier process recorded for calls of one reply, now part of the transcript."""
        ids = {call.id for call in calls}
        found = [m for m in self.recorded if isinstance(m, ToolResult) and m.call_id in ids]
        self.transcript += found
        return found

    def calls_made(self) -> Sequence[ToolCall]:
        """The calls of this turn that have a result, in order."""
        answered = {m.call_id for m in self.transcript if isinstance(m, ToolResult)}
        calls = (call for m in self.transcript if isinstance(m, Assistant) for call in m.calls)
        return [call for call in calls if call.id in answered]

    def acted(self) -> Sequence[Message]:
        """The calls and results of this turn, without what was only noted: what a message means, say."""
        return [m for m in self.transcript if not isinstance(m, Assistant) or m.calls]

    def issued(self) -> dict[str, JsonValue]:
        """Every handle that tools issued in the conversation, and the id that it stands for."""
        return self._issued_before | issued_handles(self.transcript)

    @cached_property
    def _issued_before(self) -> dict[str, JsonValue]:
        return issued_handles(self.history)

    def results(self) -> Sequence[ToolResult]:
        """The results of this turn, in order."""
        return [m for m in self.transcript if isinstance(m, ToolResult)]
