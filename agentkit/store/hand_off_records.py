"""The values of a store about conversations that a person takes over; the others: `records`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import Field, JsonValue

from agentkit.messages import Value

HandOffStatus: TypeAlias = Literal["waiting", "taken", "given_back", "closed", "withdrawn"]
"""`waiting` in the queue; `taken` by a person; `given_back` to the bot or `closed`; `withdrawn` by the customer."""

HandOffOutcome: TypeAlias = Literal["given_back", "closed"]
"""How a person ends it."""


class Callback(Value):
    """How and when a customer wants to be called; an empty field was not said yet."""

    phone: str = ""
    when: str = ""


class NewHandOff(Value):
    """A conversation for the queue; stored in the transaction that ends the turn that handed it off.

    Where the conversation is in the queue already, this takes the place of what was known of it, and the queue keeps
    its id, its place and the higher priority.

    Args:
        id: Names it.
        reason: Why a person is needed.
        summary: What the person should know before they read the transcript.
        slots: Values that were settled.
        priority: Higher is answered first.
        holds: Whether the customer's messages wait for the person from now on, or only once somebody has taken it.
        profile: What the application knows about the customer: a person's calls run with it.
    """

    id: str
    reason: str
    summary: str = ""
    slots: dict[str, JsonValue] = Field(default_factory=dict)
    priority: int = 0
    holds: bool = True
    profile: dict[str, JsonValue] = Field(default_factory=dict)


class EndOfHandOff(Value):
    """A person is done with a conversation; `note` is for the next one who reads it, not for the customer."""

    outcome: HandOffOutcome
    note: str = ""


HandOffChange: TypeAlias = NewHandOff | Callback | EndOfHandOff
"""What the end of a turn can do to the queue."""


class HandOffRecord(Value):
    """One conversation in the queue, or what became of it.

    Args:
        id: Names it.
        tenant, user, conversation_id: Whose it is. The transcript is that of the conversation.
        turn_id: The turn that handed it off.
        reason, summary, slots, priority, holds, profile: As in `NewHandOff`.
        status: How far it came.
        person: Who has it, or had it last.
        fence: Greater with every take; a person's writes name it.
        is_idle: It is taken, but for longer than was said nothing was done: others may take it.
        callback: How the customer wants to be called, if they said so.
        note: What the person noted in the end.
        waiting: How many messages of the customer wait for an answer now.
        created_at, taken_at, answered_at, ended_at: When it came, was first taken, first answered, and ended.
    """

    id: str
    tenant: str
    user: str
    conversation_id: str
    turn_id: str
    reason: str
    summary: str
    slots: dict[str, JsonValue]
    priority: int
    holds: bool
    profile: dict[str, JsonValue]
    status: HandOffStatus
    person: str
    fence: int
    is_idle: bool
    callback: Callback | None
    note: str
    waiting: int
    created_at: datetime
    taken_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None

    @property
    def is_active(self) -> bool:
        """Whether it is not over."""
        return self.status in ("waiting", "taken")

    @property
    def keeps_the_bot_silent(self) -> bool:
        """Whether the customer's messages wait for a person now."""
        return self.status == "taken" or (self.status == "waiting" and self.holds)
