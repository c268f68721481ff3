"""What a message is understood from, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from pydantic import JsonValue

from agentkit.commands import Command
from agentkit.events import UnderstoodBy
from agentkit.intents import AnsweredBy, Prediction
from agentkit.models.protocols import GenerationRequest
from agentkit.service.sketch import Awaiting, FlowSketch, SlotSketch

Ask: TypeAlias = Callable[[GenerationRequest], str]
"""Runs one constrained generation and gives its text."""

Classify: TypeAlias = Callable[[Sequence[str]], Sequence[Prediction]]
"""What the encoder makes of pieces of a message, in one pass."""


@dataclass(frozen=True)
class Situation:
    """All that may be used to understand a message.

    Args:
        text: The message.
        flows: The flows that a user can start, and those on the stack, by name.
        today: What "tomorrow" is counted from.
        prediction: What the encoder makes of the whole message; None where a bot has no intents.
        answered_by: What answers an intent that starts no flow, by intent.
        active: Flow on top of the stack.
        awaiting: What the bot asked last, if it asked anything.
        filled: Slots of the active flow that have a value.
        language: Code of the language, for dates and decimal marks: `en` and `en-GB` read 12/03 as 12 March,
            `en-US` as 3 December.
        classify: The encoder for pieces of the message; None: a message with several wishes is the generator's.
    """

    text: str
    flows: Mapping[str, FlowSketch]
    today: date
    prediction: Prediction | None = None
    answered_by: Mapping[str, AnsweredBy] = field(default_factory=dict)
    active: str | None = None
    awaiting: Awaiting | None = None
    filled: Mapping[str, JsonValue] = field(default_factory=dict)
    language: str = "en"
    classify: Classify | None = None

    @property
    def flow(self) -> FlowSketch | None:
        """The active flow."""
        return self.flows.get(self.active) if self.active is not None else None

    @property
    def is_open(self) -> bool:
        """Whether a flow is active or a question waits for its answer."""
        return self.awaiting is not None or self.active is not None

    def starts(self, intent: str) -> str:
        """The flow that an intent starts; empty where it starts none."""
        return next((flow.name for flow in self.flows.values() if intent in flow.intents), "")

    @property
    def asked(self) -> SlotSketch | None:
        """The slot that the bot asked for."""
        waiting = self.awaiting
        if waiting is None or waiting.expected != "slot" or waiting.flow is None or waiting.slot is None:
            return None
        flow = self.flows.get(waiting.flow)
        return flow.slots.get(waiting.slot) if flow is not None else None


@dataclass(frozen=True)
class Understood:
    """What a message asks for.

    Args:
        commands: In the order of the message; at least one. A slot after `start_flow` belongs to that flow, a slot
            before any to the active one.
        by: Who decided.
    """

    commands: tuple[Command, ...]
    by: UnderstoodBy
