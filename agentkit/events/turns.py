"""How a turn begins and ends, and what the user is told."""

from __future__ import annotations

from typing import Literal, TypeAlias

from agentkit.events.base import EventValue

DeclineReason: TypeAlias = Literal["out_of_scope", "no_evidence", "not_answered", "limit"]
"""Why the bot does not know: not its subject, nothing found, found but no answer, or a limit stopped the run."""

ReplySource: TypeAlias = Literal[
    "generated",
    "quoted",
    "template",
    "stored_answer",
    "question",
    "declined",
    "hand_off",
    "interrupted",
    "approval",
]
"""Where the words come from: written by the generator and checked, quoted, rendered from a result, a stored answer, a
question for a value, a refusal, a hand-off, the note that the bot was stopped, or that a person has to agree first."""


class TurnStarted(EventValue):
    """The user message is stored: from here on nothing loses it."""

    type: Literal["turn_started"] = "turn_started"
    conversation_id: str
    turn_id: str
    text: str
    resumed: bool = False


class TextDelta(EventValue):
    """A piece of a reply that has passed its checks; all pieces joined are the text of `Replied`."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class LimitReached(EventValue):
    """A limit ended the run; the user gets a polite answer."""

    type: Literal["limit_reached"] = "limit_reached"
    limit: Literal["steps", "tokens", "seconds", "repeated_call"]
    detail: str


class Interrupted(EventValue):
    """The turn was stopped before it had a reply: by a newer message, or by who listened."""

    type: Literal["interrupted"] = "interrupted"
    reason: str


class Declined(EventValue):
    """The bot says that it does not know and offers a person."""

    type: Literal["declined"] = "declined"
    reason: DeclineReason


class HandedOff(EventValue):
    """A person was asked to take over."""

    type: Literal["handed_off"] = "handed_off"
    reason: str


class Replied(EventValue):
    """The reply, with the ids of what it was made from; stored in the same transaction as everything else."""

    type: Literal["replied"] = "replied"
    text: str
    source: ReplySource
    citations: tuple[str, ...] = ()


class TurnPaused(EventValue):
    """The turn waits for a person to decide about calls; it goes on when they did, in any process."""

    type: Literal["turn_paused"] = "turn_paused"
    turn_id: str
    approvals: tuple[str, ...]


class TurnFinished(EventValue):
    """The turn is committed."""

    type: Literal["turn_finished"] = "turn_finished"
    turn_id: str
