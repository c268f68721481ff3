"""The dialect of models that agentkit does not know: the model's own chat template around plain text.

Tools are described in the system text. A call is the last line of a reply: one JSON object
`{"name": …, "arguments": …}`, or an array of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from agentkit.messages import Assistant, Message, System, ToolCall, ToolResult, ToolSpec, text_of
from agentkit.models.dialects.chat_template import Wrapping
from agentkit.models.dialects.protocol import (
    INVISIBLE,
    CallFrame,
    Segment,
    describe_tool,
    dump_json,
    load_call,
    reply_of,
    text,
)
from agentkit.models.dialects.wording import fill

_LIKE_A_CALL: Final = re.compile(rf"{INVISIBLE}*[\[{{]")
_Side = Literal["user", "assistant"]


class PlainDialect:
    """Plain JSON calls inside a model's own chat template.

    Args:
        wrapping: What the template puts around messages.
        end_tokens: Control tokens with which the template ends an assistant's message.
    """

    def __init__(self, wrapping: Wrapping, end_tokens: tuple[str, ...] = ()) -> None:
        self.name = "plain"
        self.end_tokens = end_tokens
        self._wrapping = wrapping
        self.calls = CallFrame(
            opening=(text('{"name": '),),
            middle=(text(', "arguments": '),),
            closing=(text("}"),),
            between=(text(", "),),
            first=(text("["),),
            last=(text("]"),),
            forbidden=r'((?s:.*)\n)?\[?\{"name": ',
            beginnings=("```", '{"', "{\n", "["),
        )

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Segment, ...]:
        """See `Dialect`."""
        wrapping = self._wrapping
        messages = list(messages)
        first = [messages.pop(0)] if messages and isinstance(messages[0], System) else []
        described = [describe_tool(tool) for tool in tools]
        system = fill("plain_system", system=text_of(first[0]) if first else "", tools=described)
        turns = _alternating(messages)
        if system and wrapping.before_system is None:
            turns[0] = ("user", (text(system + "\n\n"), *turns[0][1]))
        segments: list[Segment] = []
        if system and wrapping.before_system is not None:
            segments += [_markup(wrapping.before_system), text(system), _markup(wrapping.system_to_user)]
        else:
            segments.append(_markup(wrapping.before_user))
        for index, (side, content) in enumerate(turns):
            if index:
                to_user = side == "user"
                segments.append(
                    _markup(wrapping.assistant_to_user if to_user else wrapping.user_to_assistant)
                )
            segments += content
        return tuple(s for s in [*segments, _markup(wrapping.user_to_reply)] if s.text)

    def render_reply(self, message: Assistant) -> tuple[Segment, ...]:
        """See `Dialect`."""
        return _reply(message)

    def parse(self, written: str) -> Assistant:
        """See `Dialect`."""
        before, _newline, last = written.rpartition("\n")
        calls = _parse_calls(last)
        content = before if calls else written
        *lines, final = content.split("\n")
        if final.startswith(INVISIBLE) and _LIKE_A_CALL.match(final):
            content = "\n".join([*lines, final.removeprefix(INVISIBLE)])
        return reply_of(content, calls)


def _reply(message: Assistant) -> tuple[Segment, ...]:
    content = text_of(message)
    *before, last = content.split("\n")
    if _LIKE_A_CALL.match(last):
        content = "\n".join([*before, INVISIBLE + last])
    if message.calls:
        calls = [{"name": call.name, "arguments": call.arguments} for call in message.calls]
        line = dump_json(calls[0] if len(calls) == 1 else calls)
        content = f"{content}\n{line}" if content else line
    return (Segment("reply", content),) if content else ()


def _markup(literal: str) -> Segment:
    return Segment("markup", literal)


def _parse_calls(line: str) -> list[ToolCall]:
    if not line.startswith(("{", "[")):
        return []
    try:
        value = json.loads(line)
    except ValueError:
        return []
    if isinstance(value, list) and len(value) == 1:
        return []  # one call is written without an array
    values = value if isinstance(value, list) else [value]
    calls = [load_call(item, number) for number, item in enumerate(values, start=1)]
    return [call for call in calls if call is not None] if all(calls) else []


def _alternating(messages: Sequence[Message]) -> list[tuple[_Side, tuple[Segment, ...]]]:
    """User and assistant in turn, user first and last: many templates accept nothing else."""
    turns: list[tuple[_Side, tuple[Segment, ...]]] = []
    for side, content in _sides(messages):
        if turns and turns[-1][0] == side:
            turns[-1] = (side, (*turns[-1][1], text("\n\n"), *content))
        elif not turns and side == "assistant":
            turns += [("user", ()), (side, content)]
        else:
            turns.append((side, content))
    return turns if turns and turns[-1][0] == "user" else [*turns, ("user", ())]


def _sides(messages: Sequence[Message]) -> Iterator[tuple[_Side, tuple[Segment, ...]]]:
    for message in messages:
        if isinstance(message, Assistant):
            yield "assistant", _reply(message)
        elif isinstance(message, ToolResult):
            yield "user", (text(fill("plain_result", name=message.name, content=text_of(message))),)
        else:
            yield "user", (text(text_of(message)),)
