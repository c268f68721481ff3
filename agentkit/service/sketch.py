"""What is known of a bot's flows when a message is understood: no steps, no policies, only what can be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

SlotType: TypeAlias = Literal["text", "integer", "number", "amount", "date", "boolean", "choice"]
"""How a value is read from the user's words, and what it becomes: `str`, `int`, `float`, `float`, ISO date as
`str`, `bool`, the name of a choice as `str`."""

Expected: TypeAlias = Literal["slot", "confirmation", "which_flow"]
"""What kind of answer a question of the bot wants."""


@dataclass(frozen=True)
class SlotSketch:
    """A slot, as far as its values can be recognised.

    Args:
        name: Its name in the flow.
        type: How a value is read.
        description: What it is, in the words that users may use for it ("the order number").
        pattern: Regular expression that a text matches as a whole; empty: any words of the user.
        choices: Names of the choices, each with other ways to say it; for the type `choice`.
        examples: Values.
        asked: The question that asks for it.
        currency: Code of the only currency that an amount may be in (`EUR`); empty: any.
        past: Whether a day without a year is the last such day rather than the next one.
    """

    name: str
    type: SlotType = "text"
    description: str = ""
    pattern: str = ""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    asked: str = ""
    currency: str = ""
    past: bool = False


@dataclass(frozen=True)
class FlowSketch:
    """A flow, as far as a user can start it and fill it.

    Args:
        name: Its name.
        description: What it does for the user, in one sentence.
        intents: Intents of the encoder that start it.
        slots: By name, in the order in which they are asked for.
    """

    name: str
    description: str = ""
    intents: tuple[str, ...] = ()
    slots: Mapping[str, SlotSketch] = field(default_factory=dict)


@dataclass(frozen=True)
class Awaiting:
    """What the bot asked last, so that the next message may be the answer.

    Args:
        expected: A value for a slot, a yes or no to a confirmation, or which of several flows is meant.
        text: The question as the user read it.
        flow: The flow that asked; None for `which_flow`.
        slot: The slot that is asked for; only for `slot`.
        options: The flows to choose from; only for `which_flow`.
    """

    expected: Expected
    text: str = ""
    flow: str | None = None
    slot: str | None = None
    options: tuple[str, ...] = ()
