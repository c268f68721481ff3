"""The working state of one turn of a dialogue: the copy of the state that the machine changes, and what it says."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeAlias

from pydantic import JsonValue

from agentkit.events import Event, FlowEnded, FlowFailed, FlowOutcome, FlowStarted
from agentkit.service.book import FlowBook, LoadedFlow, variations
from agentkit.service.flow import Say, Text
from agentkit.service.moves import AskKnowledge, Chat, Said
from agentkit.service.state import DialogueState, Frame

MOST_STEPS: Final = 60
"""Steps of all flows in one turn. A flow that needs more without asking anything goes round in a circle."""

MOST_WAITING: Final = 5
"""Flows that may wait below the active one, and behind it."""


@dataclass(frozen=True)
class Pattern:
    """Run a pattern before anything else goes on; `given` are the variables that it may use."""

    name: str
    given: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Which:
    """Ask which of several flows is meant."""

    flows: tuple[str, ...]


Todo: TypeAlias = Pattern | Which | AskKnowledge | Chat
"""What comes before the active flow goes on."""


@dataclass
class Working:
    """One turn.

    Args:
        book: The flows.
        state: A copy that may be changed.
        profile: What the application knows of the user.
        today: The day of the turn.
        seed: Chooses among variations of a text; the same seed chooses the same.
        last: What the bot said last, for "what?".
        heard: What the user said in this conversation, newest first.
        events: What happened, for the trace.
        said: What is said, in order.
        todo: What comes before the active flow goes on.
        speaking: The pattern that is running.
        steps_left: Steps until the turn is stopped.
    """

    book: FlowBook
    state: DialogueState
    profile: Mapping[str, JsonValue]
    today: date
    seed: str
    last: str = ""
    heard: Sequence[str] = ()
    events: list[Event] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    todo: deque[Todo] = field(default_factory=deque)
    speaking: Frame | None = None
    steps_left: int = MOST_STEPS

    def loaded(self, frame: Frame) -> LoadedFlow:
        """The flow of a frame."""
        return self.book.flows[frame.flow]

    def spoken(self, flow: str) -> str:
        """How users are told of a flow."""
        return self.book.flows[flow].flow.spoken if flow in self.book.flows else flow

    def variables(self, frame: Frame) -> dict[str, JsonValue]:
        """What texts and expressions of a flow may read."""
        return {
            **frame.results,
            **frame.slots,
            "profile": dict(self.profile),
            "contact": self.book.contact,
            "today": self.today.isoformat(),
            "tone": self.book.tone,
            "language": self.book.language,
        }

    def text(
        self, text: Text, where: str, variables: Mapping[str, JsonValue], turn: int | None = None
    ) -> str:
        """One variation of a text, rendered: the one of this turn, or the one with this number.

        Raises:
            PromptError: It cannot be rendered.
        """
        options = variations(text)
        if turn is None:
            digest = hashlib.blake2b(f"{self.seed}/{where}".encode(), digest_size=4).digest()
            turn = int.from_bytes(digest, "big")
        return self.book.expressions.text(options[turn % len(options)], where, variables)

    def say(self, text: str, where: str, *, free: bool = False) -> None:
        """Add a text to the reply."""
        if text:
            self.said.append(Said(text, where, free))

    def pattern_text(self, name: str, given: Mapping[str, JsonValue]) -> str:
        """What a pattern says, as a part of something else.

        Raises:
            PromptError: It cannot be rendered.
        """
        loaded = self.book.flows[name]
        variables = {**self.variables(Frame(flow=name)), **given}
        texts = [
            self.text(node.step.say, loaded.where(node.at), variables)
            for node in loaded.nodes
            if isinstance(node.step, Say)
        ]
        return " ".join(texts)

    def push(self, flow: str, results: Mapping[str, JsonValue] | None = None) -> Frame:
        """Put a flow on the stack."""
        loaded = self.book.flows[flow]
        frame = Frame(flow=flow, version=loaded.version, results=dict(results or {}))
        if not loaded.flow.is_pattern:
            depth = sum(not self.book.flows[each.flow].flow.is_pattern for each in self.state.stack)
            self.events.append(FlowStarted(flow=flow, depth=depth))
        self.state.stack.append(frame)
        return frame

    def end(self, frame: Frame, outcome: FlowOutcome) -> None:
        """Take a flow off the stack, and the patterns above it."""
        position = next(i for i, each in enumerate(self.state.stack) if each is frame)
        del self.state.stack[position:]
        if not self.loaded(frame).flow.is_pattern:
            self.events.append(FlowEnded(flow=frame.flow, outcome=outcome))

    def fail(self, frame: Frame, where: str, error: str) -> None:
        """A flow cannot go on: the error for the operator, an apology and a person for the customer."""
        self.events.append(FlowFailed(flow=frame.flow, step=where, error=error))
        self.end(frame, "failed")
        self.speaking = None
        self.todo.clear()
        self.todo.append(Pattern("pattern_failed", {"flow": self.spoken(frame.flow), "reason": error}))
