"""What to do with a finished generation: a pure function over a closed union."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from agentkit.errors import ConstraintUnmet
from agentkit.messages import ToolCall, text_of
from agentkit.models.protocols import Finished


@dataclass(frozen=True)
class Answer:
    """The generator proposes this text as the reply; it is checked before it is sent."""

    text: str


@dataclass(frozen=True)
class CallTools:
    """The generator wants these calls."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True)
class Retry:
    """Nothing usable was written; ask again."""

    reason: str


@dataclass(frozen=True)
class HandOff:
    """Going on makes no sense; a person should."""

    reason: str


@dataclass(frozen=True)
class CutShort:
    """The token limit came before a call was complete. Closed by force or not, it must not act."""

    reason: str


Decision: TypeAlias = Answer | CallTools | CutShort | Retry | HandOff


def decide(reply: Finished | ConstraintUnmet, *, retries_left: int) -> Decision:
    """Turn a finished generation into the next move.

    Args:
        reply: What the generator wrote, or why that is nothing.
        retries_left: How often it may still be asked again in this turn.
    """
    if isinstance(reply, ConstraintUnmet):
        return CutShort(reply.message) if reply.cut else _again(reply.message, retries_left)
    match reply.finish:
        case "stop":
            if reply.reply.calls:
                return CallTools(reply.reply.calls)
            text = text_of(reply.reply).strip()
            if text:
                return Answer(text)
            return _again("the generator wrote nothing", retries_left)
        case "length" if reply.reply.calls:
            # It fits its schema, but its last value stops where the limit came: "cancel 12" for "cancel 1204".
            names = ", ".join(call.name for call in reply.reply.calls)
            return CutShort(f"the token limit came while the call of {names} was written, so it is not made")
        case "length":
            # A reply that was cut may end in half a sentence; half a statement can say the opposite.
            whole = whole_sentences(text_of(reply.reply))
            return Answer(whole) if whole else _again("the reply was cut by the token limit", retries_left)
        case "cancelled" | "deadline":
            return HandOff(f"generation ended early ({reply.finish})")
        case other:
            assert_never(other)


def _again(reason: str, retries_left: int) -> Decision:
    return Retry(reason) if retries_left > 0 else HandOff(reason)


def whole_sentences(text: str) -> str:
    """`text` without an unfinished last sentence; empty if no sentence is finished."""
    end = max(text.rfind(mark) for mark in ".!?")
    return text[: end + 1].strip() if end >= 0 else ""
