"""What the dialogue machine wants from the outside, and what it hears back: closed unions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import JsonValue


@dataclass(frozen=True)
class Said:
    """A text of the reply.

    Args:
        text: The text.
        where: File and line that it comes from.
        free: The author lets the generator put it into other words.
    """

    text: str
    where: str
    free: bool = False


@dataclass(frozen=True)
class Wait:
    """The user's turn."""


@dataclass(frozen=True)
class CallTool:
    """Make this call and tell its outcome.

    Args:
        flow: The flow that wants it.
        tool: The tool.
        arguments: Its arguments.
        settled: Those of them that the user, the profile or the author of the flow gave: no result of a tool and no
            text of unknown origin has a part in them.
        reasons: Rules that want a person to agree first, in words for that person.
    """

    flow: str
    tool: str
    arguments: Mapping[str, JsonValue]
    settled: Mapping[str, JsonValue] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskKnowledge:
    """Answer this question from the knowledge, and tell that it was said."""

    text: str


@dataclass(frozen=True)
class Chat:
    """Answer small talk with what the bot has for this intent, and tell that it was said."""

    intent: str | None


@dataclass(frozen=True)
class HandOver:
    """A person takes over."""

    reason: str
    priority: int = 0


@dataclass(frozen=True)
class Elsewhere:
    """No flow has to do with the message: it goes where messages go in a bot without flows."""


Move: TypeAlias = Wait | CallTool | AskKnowledge | Chat | HandOver | Elsewhere
"""What is to be done next."""

OutcomeStatus: TypeAlias = Literal["ok", "settled", "cannot", "down", "doubt", "rejected", "refused"]
"""`settled`: a person says, after a crash, that it was done. `cannot`: the tool says that it can't, and why. `down`: it
did not work and may work later. `doubt`: nobody knows whether its effect happened. `rejected`: a person did not agree.
`refused`: the gate stopped it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a call.

    Args:
        status: How it ended.
        value: What it gave, where it is `ok`.
        text: Why not, otherwise; only that of `cannot` and `rejected` is for the user.
    """

    status: OutcomeStatus
    value: JsonValue = None
    text: str = ""
