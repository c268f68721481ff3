"""What a user's message asks a dialogue to do: a closed union of commands.

The generator never writes to a customer here and never decides a policy: it may only say which of these a message
means (Rasa's CALM calls it "commands", arXiv 2402.12234). Everything that follows is code.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from agentkit.messages import Value


class StartFlow(Value):
    """The user wants this business process."""

    type: Literal["start_flow"] = "start_flow"
    flow: str


class SetSlot(Value):
    """The user gives a value; `said` is the piece of the message that it was read from."""

    type: Literal["set_slot"] = "set_slot"
    slot: str
    value: JsonValue
    said: str


class CorrectSlot(Value):
    """The user takes an earlier value back and gives another one."""

    type: Literal["correct_slot"] = "correct_slot"
    slot: str
    value: JsonValue
    said: str


class Confirm(Value):
    """Yes to what the bot asked."""

    type: Literal["confirm"] = "confirm"


class Deny(Value):
    """No to what the bot asked."""

    type: Literal["deny"] = "deny"


class Cancel(Value):
    """The user drops a process: the named one, or the one they are in."""

    type: Literal["cancel"] = "cancel"
    flow: str | None = None


class Repeat(Value):
    """Say the last thing again."""

    type: Literal["repeat"] = "repeat"


class Clarify(Value):
    """The user asks what the bot means, or the message fits several processes (`flows`), which one is asked."""

    type: Literal["clarify"] = "clarify"
    flows: tuple[str, ...] = ()


class KnowledgeQuestion(Value):
    """A question that the knowledge may answer; `text` is the part of the message that asks it."""

    type: Literal["knowledge_question"] = "knowledge_question"
    text: str


class ChitChat(Value):
    """A greeting, thanks, small talk, abuse: `intent` names it where the encoder knows it."""

    type: Literal["chit_chat"] = "chit_chat"
    intent: str | None = None


class HandOff(Value):
    """The user wants a person."""

    type: Literal["hand_off"] = "hand_off"
    reason: str = ""


class CannotHandle(Value):
    """Nothing of the above; `out_of_scope` where the encoder says that it is none of the bot's subjects."""

    type: Literal["cannot_handle"] = "cannot_handle"
    reason: Literal["out_of_scope", "unclear", "empty", "too_long"] = "unclear"


Command: TypeAlias = Annotated[
    StartFlow
    | SetSlot
    | CorrectSlot
    | Confirm
    | Deny
    | Cancel
    | Repeat
    | Clarify
    | KnowledgeQuestion
    | ChitChat
    | HandOff
    | CannotHandle,
    Field(discriminator="type"),
]
