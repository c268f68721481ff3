"""What a dialogue did: commands that were understood, processes that began and ended, slots, rules, confirmations."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, JsonValue

from agentkit.commands import Command
from agentkit.events.base import EventValue

UnderstoodBy: TypeAlias = Literal["rules", "encoder", "generator"]
"""Who decided what a message asks for: its words by themselves, the encoder's intent, or the generator."""

FlowOutcome: TypeAlias = Literal["completed", "cancelled", "refused", "failed", "handed_off"]
"""How a flow ends."""

SlotSource: TypeAlias = Literal["user", "tool", "profile"]
"""Who gave the value of a slot."""


class CommandsUnderstood(EventValue):
    """What a message asks for, and what understood it: no generator is asked where rules or encoder are sure."""

    type: Literal["commands_understood"] = "commands_understood"
    commands: tuple[Command, ...]
    by: UnderstoodBy


class FlowStarted(EventValue):
    """A business process began; `depth` counts the processes that wait below it."""

    type: Literal["flow_started"] = "flow_started"
    flow: str
    depth: int = 0


class FlowEnded(EventValue):
    """A business process ended."""

    type: Literal["flow_ended"] = "flow_ended"
    flow: str
    outcome: FlowOutcome


class SlotAsked(EventValue):
    """The bot asked for a value; `attempt` counts from 1."""

    type: Literal["slot_asked"] = "slot_asked"
    flow: str
    slot: str
    attempt: int = 1


class SlotSet(EventValue):
    """A value was settled.

    Args:
        flow: The process.
        slot: The slot.
        value: The value.
        source: Who gave it.
        corrected: It took the place of another one.
    """

    type: Literal["slot_set"] = "slot_set"
    flow: str
    slot: str
    value: JsonValue
    source: SlotSource = "user"
    corrected: bool = False


class SlotRefused(EventValue):
    """A value was not accepted, and why: for people who improve the bot."""

    type: Literal["slot_refused"] = "slot_refused"
    flow: str
    slot: str
    value: JsonValue
    reason: str


class PolicyRefused(EventValue):
    """A named rule of the business stood against a call, and the call was not made."""

    type: Literal["policy_refused"] = "policy_refused"
    flow: str
    policy: str
    tool: str


class ConfirmationAsked(EventValue):
    """The user was asked to agree to this very call."""

    type: Literal["confirmation_asked"] = "confirmation_asked"
    flow: str
    tool: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class ConfirmationAnswered(EventValue):
    """They did, or did not; `void`: they changed a value instead, so it will be asked again."""

    type: Literal["confirmation_answered"] = "confirmation_answered"
    flow: str
    tool: str
    answer: Literal["confirmed", "denied", "void"]


class FlowFailed(EventValue):
    """A process could not go on; the customer got an apology, this is for the operator."""

    type: Literal["flow_failed"] = "flow_failed"
    flow: str
    step: str
    error: str


class DialogueMoved(EventValue):
    """The dialogue after the turn, as the dialogue machine writes it; the next turn goes on from it."""

    type: Literal["dialogue_moved"] = "dialogue_moved"
    state: dict[str, JsonValue]


class HandOffQueued(EventValue):
    """The conversation is in the queue of the people who answer."""

    type: Literal["hand_off_queued"] = "hand_off_queued"
    hand_off_id: str
    reason: str
    priority: int = 0


DialogueEvent: TypeAlias = (
    CommandsUnderstood
    | FlowStarted
    | FlowEnded
    | SlotAsked
    | SlotSet
    | SlotRefused
    | PolicyRefused
    | ConfirmationAsked
    | ConfirmationAnswered
    | FlowFailed
    | DialogueMoved
    | HandOffQueued
)
