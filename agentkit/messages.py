"""Messages as values: what was said in a conversation, by whom, and how far it is trusted.

A message is frozen and equal by value; ids and times belong to the store. Read and write messages through
`dump_messages` and `load_messages` (JSON, closed models), never by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

TrustLabel: TypeAlias = Literal["system", "user", "tool", "untrusted"]
"""How far a part is trusted: the bot's author, the user, or a trusted tool wrote it, or none of them."""

ToolEffect: TypeAlias = Literal["read", "write", "egress"]
"""What a tool does to the world: looks, changes something, or sends something out."""

CallStatus: TypeAlias = Literal["ok", "retry", "failed", "timeout", "refused", "interrupted", "unknown"]
"""How a call ended. `refused`: the gate stopped it first. `interrupted`: the turn ended before it ran.
`unknown`: it was started and a crash hid its outcome."""

_TRUST_ORDER: Final[tuple[TrustLabel, ...]] = ("system", "user", "tool", "untrusted")


class Value(BaseModel):
    """Base of every frozen, closed value that agentkit passes around or stores."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Part(Value):
    """A piece of text of one message, with its trust label."""

    text: str
    trust: TrustLabel


class ToolCall(Value):
    """One call that the generator wrote.

    Args:
        id: Unique within the conversation; ties the call to its result.
        name: Name of the tool.
        arguments: JSON object as the model wrote it; not validated yet.
    """

    id: str
    name: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class ToolSpec(Value):
    """What a model is told about a tool.

    Args:
        name: `[A-Za-z0-9_.-]+`, unique in a toolset.
        description: One or a few sentences for the model.
        parameters: JSON Schema of the arguments: an object schema.
    """

    name: str
    description: str
    parameters: dict[str, Any]


class System(Value):
    """Instructions by the author of the bot."""

    role: Literal["system"] = "system"
    parts: tuple[Part, ...]


class User(Value):
    """What the user said; without parts: nothing, somebody spoke without being asked."""

    role: Literal["user"] = "user"
    parts: tuple[Part, ...]


class Assistant(Value):
    """What the bot said, or the tool calls it wrote, or both; `by` names the person who did it in the bot's place."""

    role: Literal["assistant"] = "assistant"
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    by: str = ""


class ToolResult(Value):
    """What came back from one call; every call in a transcript has exactly one."""

    role: Literal["tool"] = "tool"
    call_id: str
    name: str
    status: CallStatus
    parts: tuple[Part, ...]
    data: JsonValue = None
    """The result as JSON where the tool returned more than text; templates read it, models see `parts`."""
    handles: dict[str, JsonValue] = Field(default_factory=dict)
    """Short names such as `order#7` that this result introduced, and the ids that they stand for."""


Message: TypeAlias = Annotated[System | User | Assistant | ToolResult, Field(discriminator="role")]

_MESSAGES: Final[TypeAdapter[tuple[Message, ...]]] = TypeAdapter(tuple[Message, ...])
_MESSAGE: Final[TypeAdapter[Message]] = TypeAdapter(Message)


def system(text: str) -> System:
    """A system message of one part."""
    return System(parts=(Part(text=text, trust="system"),))


def user(text: str) -> User:
    """A user message of one part."""
    return User(parts=(Part(text=text, trust="user"),))


def assistant(
    text: str = "", calls: Iterable[ToolCall] = (), trust: TrustLabel = "system", by: str = ""
) -> Assistant:
    """An assistant message; empty text makes no part."""
    parts = (Part(text=text, trust=trust),) if text else ()
    return Assistant(parts=parts, calls=tuple(calls), by=by)


def tool_result(
    call: ToolCall,
    text: str,
    *,
    status: CallStatus = "ok",
    trust: TrustLabel = "tool",
    data: JsonValue = None,
) -> ToolResult:
    """The result of `call` as one part of text, with the same value as JSON in `data` where there is one."""
    parts = (Part(text=text, trust=trust),)
    return ToolResult(call_id=call.id, name=call.name, status=status, parts=parts, data=data)


def text_of(message: Message) -> str:
    """The text of all parts of a message, joined by newlines."""
    if len(message.parts) == 1:  # nearly all: a prompt asks for each of its messages several times
        return message.parts[0].text
    return "\n".join(part.text for part in message.parts)


def worst_trust(parts: Iterable[Part]) -> TrustLabel:
    """The least trusted label among `parts`; a summary inherits it from its sources."""
    return max((part.trust for part in parts), key=_TRUST_ORDER.index, default="system")


def as_trusted(label: TrustLabel, other: TrustLabel) -> bool:
    """Whether one label is trusted at least as far as another."""
    return _TRUST_ORDER.index(label) <= _TRUST_ORDER.index(other)


def dump_message(message: Message) -> str:
    """One message as JSON text."""
    return _MESSAGE.dump_json(message).decode()


def load_message(text: str | bytes) -> Message:
    """The inverse of `dump_message`; raises `pydantic.ValidationError` for anything else."""
    return _MESSAGE.validate_json(text)


def dump_messages(messages: Sequence[Message]) -> str:
    """A transcript as a JSON array."""
    return _MESSAGES.dump_json(tuple(messages)).decode()


def load_messages(text: str | bytes) -> tuple[Message, ...]:
    """The inverse of `dump_messages`; raises `pydantic.ValidationError` for anything else."""
    return _MESSAGES.validate_json(text)


def unanswered_calls(messages: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The calls of a transcript that have no result yet, in order."""
    answered = {m.call_id for m in messages if isinstance(m, ToolResult)}
    return tuple(
        call for m in messages if isinstance(m, Assistant) for call in m.calls if call.id not in answered
    )


def split_turns(history: Sequence[Message]) -> list[list[Message]]:
    """Cut a transcript before every user message."""
    turns: list[list[Message]] = []
    for message in history:
        if isinstance(message, User) or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def turns_in_window(earlier: int, most: int) -> int:
    """How many of the latest turns a prompt holds: between a third of `most` and all of it.

    Turns leave several at a time: a window that moved with every turn would begin differently every time, and what a
    generator had computed for the beginning of the prompt would be lost with each.

    Args:
        earlier: Turns of the conversation so far.
        most: Most turns in the window.
    """
    if earlier <= most:
        return earlier
    step = max(1, most - most // 3)
    return earlier - step * math.ceil((earlier - most) / step)
