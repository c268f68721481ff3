"""What a dialect is: how one model family writes roles, tools and tool calls.

A dialect turns messages and tools into segments and a written reply back into an `Assistant`. Each segment is
tokenised by itself, so the ids of a message do not depend on its neighbours and a prompt's prefix stays the
same from turn to turn. Three kinds of segments keep the model's own marks apart from what people write:

- `control`: one control token, by name;
- `text`: data. Whatever it says, it yields no control token (`TokenCodec.encode_text`);
- `reply`: text that the model wrote earlier; its ids are those that it wrote;
- `markup`: literal text of the model's own chat template, in which control tokens are recognised.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import JsonValue, TypeAdapter, ValidationError

from agentkit.messages import Assistant, Message, ToolCall, ToolSpec, assistant
from agentkit.models.tokens import TokenCodec, sanitise

INVISIBLE = "\u200b"
"""Zero-width space: put into text that looks like a mark of the dialect, so that it is none."""

_ARGUMENTS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True)
class Segment:
    """A piece of a prompt; see the module's text for the kinds."""

    kind: Literal["control", "text", "reply", "markup"]
    text: str


@dataclass(frozen=True)
class CallFrame:
    """How a dialect writes calls, as pieces around the name and the arguments, for the constraint's grammar.

    `first? call (between call)* last?` where a call is `opening NAME middle ARGUMENTS closing`. Pieces are
    control tokens or literal text.

    Args:
        opening, middle, closing: Pieces of one call.
        between: Pieces between two calls.
        first, last: Pieces around all calls where there are several; empty if one call looks like each of
            many.
        forbidden: Regular expression (no look-around) that text of the assistant must not contain, because it
            would read as a call.
        beginnings: Texts with which models of this dialect begin a reply that is meant as a call, beside
            `opening`: many write bare JSON, or a fence around it. They tell how likely a call is; what is
            then written is the proper form.
    """

    opening: tuple[Segment, ...]
    middle: tuple[Segment, ...]
    closing: tuple[Segment, ...]
    between: tuple[Segment, ...]
    first: tuple[Segment, ...] = ()
    last: tuple[Segment, ...] = ()
    forbidden: str = ""
    beginnings: tuple[str, ...] = ()


class Dialect(Protocol):
    """How one model family writes a conversation."""

    @property
    def name(self) -> str:
        """`hermes`, `smollm`, `plain`."""
        ...

    @property
    def end_tokens(self) -> tuple[str, ...]:
        """Names of control tokens that end a reply, beside the model's own end tokens."""
        ...

    @property
    def calls(self) -> CallFrame:
        """How calls are written."""
        ...

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Segment, ...]:
        """The prompt up to the point where the assistant's reply begins."""
        ...

    def render_reply(self, message: Assistant) -> tuple[Segment, ...]:
        """An assistant message as the model would write it, without the marks around it."""
        ...

    def parse(self, written: str) -> Assistant:
        """The inverse of `render_reply`: text, calls or both; call ids are `call_1`, `call_2`, …

        What is no well-formed call is text.
        """
        ...


def control(name: str) -> Segment:
    """A control token."""
    return Segment("control", name)


def text(content: str) -> Segment:
    """Text as data."""
    return Segment("text", content)


def encode(segments: Sequence[Segment], codec: TokenCodec) -> list[int]:
    """Token ids of segments, each encoded by itself.

    Raises:
        KeyError: A control token that the model does not have.
    """
    ids: list[int] = []
    for segment in segments:
        if segment.kind == "control":
            token = codec.control_id(segment.text)
            if token is None:
                raise KeyError(segment.text)
            ids.append(token)
        elif segment.kind == "text":
            ids.extend(codec.encode_text(segment.text))
        elif segment.kind == "reply":
            ids.extend(codec.encode_reply(segment.text))
        else:
            ids.extend(codec.encode_markup(segment.text))
    return ids


def written(segments: Sequence[Segment]) -> str:
    """Segments as the raw text that the generator would have streamed."""
    return "".join(segment.text for segment in segments)


def dump_json(value: Any) -> str:
    """JSON as models are trained on it: `", "` and `": "`, characters as they are."""
    return sanitise(json.dumps(value, ensure_ascii=False))


def describe_tool(tool: ToolSpec) -> str:
    """A tool as the JSON object that goes into a prompt: OpenAI's function form, without agentkit's own
    keys."""
    parameters = without_own_keys(tool.parameters)
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return dump_json({"type": "function", "function": function})


def without_own_keys(schema: Any) -> Any:
    """A JSON Schema without the `x-agentkit-…` annotations, which say nothing to a model."""
    if isinstance(schema, dict):
        kept = {k: v for k, v in schema.items() if not str(k).startswith("x-agentkit-")}
        return {key: without_own_keys(value) for key, value in kept.items()}
    if isinstance(schema, list):
        return [without_own_keys(value) for value in schema]
    return schema


def load_call(value: object, number: int) -> ToolCall | None:
    """A call from `{"name": …, "arguments": {…}}`; None if `value` is anything else."""
    if (
        not isinstance(value, dict)
        or value.keys() != {"name", "arguments"}
        or not isinstance(value["name"], str)
    ):
        return None
    try:
        arguments = _ARGUMENTS.validate_python(value["arguments"])
    except ValidationError:
        return None
    return ToolCall(id=f"call_{number}", name=value["name"], arguments=arguments)


def reply_of(content: str, calls: Sequence[ToolCall] = ()) -> Assistant:
    """An assistant message as the parsers return it."""
    return assistant(content, calls)
