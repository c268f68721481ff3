"""ChatML with Hermes tool calls: Qwen2.5, Qwen3, Hermes, and SmolLM2 with the same tags as ordinary text.

The form is published with Qwen2.5's chat template: a `# Tools` section with one JSON object a line, calls as
`<tool_call>\\n{"name": …, "arguments": …}\\n</tool_call>`, results as `<tool_response>` in a user message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from agentkit.messages import Assistant, Message, System, ToolCall, ToolResult, ToolSpec, text_of
from agentkit.models.dialects.protocol import (
    INVISIBLE,
    CallFrame,
    Segment,
    control,
    describe_tool,
    dump_json,
    load_call,
    reply_of,
    text,
)
from agentkit.models.dialects.wording import fill

_OPEN: Final = "<tool_call>"
_CLOSE: Final = "</tool_call>"
_TAG: Final = re.compile(r"<(\u200b*)(/?tool_(?:call|response))")
_HIDDEN_TAG: Final = re.compile(r"<\u200b(\u200b*)(/?tool_(?:call|response))")


class HermesDialect:
    """ChatML with `<tool_call>`.

    Args:
        name: `hermes` or `smollm`.
        call_tokens: Whether `<tool_call>` and `</tool_call>` are control tokens of the model; else they are
            text.
        default_system: System text where the transcript has none; empty for no system message at all.
    """

    def __init__(self, *, name: str = "hermes", call_tokens: bool = True, default_system: str = "") -> None:
        self.name = name
        self.end_tokens: tuple[str, ...] = ("<|im_end|>",)
        self._call_tokens = call_tokens
        self._default_system = default_system
        self.calls = CallFrame(
            opening=(self._tag(_OPEN), text('\n{"name": ')),
            middle=(text(', "arguments": '),),
            closing=(text("}\n"), self._tag(_CLOSE)),
            between=(text("\n"),),
            forbidden=_OPEN,
            beginnings=("<", "```", '{"', "{\n", "["),
        )

    def render(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Segment, ...]:
        """See `Dialect`."""
        messages = list(messages)
        first = messages.pop(0) if messages and isinstance(messages[0], System) else None
        content = text_of(first) if first is not None else self._default_system
        segments: list[Segment] = []
        if content or tools or first is not None:
            segments += self._block("system", *_system(content, tools))
        for index, message in enumerate(messages):
            if isinstance(message, ToolResult):
                before = index > 0 and isinstance(messages[index - 1], ToolResult)
                after = index + 1 < len(messages) and isinstance(messages[index + 1], ToolResult)
                segments += self._result(message, before=before, after=after)
            elif isinstance(message, Assistant):
                segments += self._block("assistant", *self.render_reply(message))
            else:
                segments += self._block(message.role, text(text_of(message)))
        return (*segments, control("<|im_start|>"), text("assistant\n"))

    def render_reply(self, message: Assistant) -> tuple[Segment, ...]:
        """See `Dialect`."""
        content = _TAG.sub(rf"<{INVISIBLE}\1\2", text_of(message))
        if not message.calls:
            return (Segment("reply", content),) if content else ()
        segments: list[Segment] = [Segment("reply", content + "\n")] if content else []
        for index, call in enumerate(message.calls):
            if index:
                segments.append(text("\n"))
            body = f'\n{{"name": {dump_json(call.name)}, "arguments": {dump_json(call.arguments)}}}\n'
            segments += [self._tag(_OPEN), Segment("reply", body), self._tag(_CLOSE)]
        if self._call_tokens:
            return tuple(segments)
        return (Segment("reply", "".join(segment.text for segment in segments)),)

    def parse(self, written: str) -> Assistant:
        """See `Dialect`."""
        calls: list[ToolCall] = []
        before: str | None = None
        position = 0
        while (start := written.find(_OPEN, position)) >= 0:
            found = self._parse_call(written, start + len(_OPEN), len(calls) + 1)
            if found is None or (calls and written[position:start].strip()):
                return reply_of(_shown(written))
            before = written[:start] if before is None else before
            calls.append(found[0])
            position = found[1]
        if before is None or written[position:].strip():
            return reply_of(_shown(written))
        return reply_of(_shown(before.removesuffix("\n")), calls)

    def _parse_call(self, written: str, start: int, number: int) -> tuple[ToolCall, int] | None:
        """The call whose body begins at `start`, and where its closing tag ends. The JSON decides where the
        body ends, so a closing tag inside a string does no harm."""
        body = start + len(written[start:]) - len(written[start:].lstrip())
        try:
            value, end = json.JSONDecoder().raw_decode(written, body)
        except ValueError:
            return None
        call = load_call(value, number)
        close = written.find(_CLOSE, end)
        if call is None or close < 0 or written[end:close].strip():
            return None
        return call, close + len(_CLOSE)

    def _tag(self, name: str) -> Segment:
        return control(name) if self._call_tokens else text(name)

    def _block(self, role: str, *content: Segment) -> list[Segment]:
        head = [control("<|im_start|>"), text(f"{role}\n")]
        return [*head, *content, control("<|im_end|>"), text("\n")]

    def _result(self, message: ToolResult, *, before: bool, after: bool) -> list[Segment]:
        # Results of one reply's calls share a user message, as in the published template. Data from a tool
        # must not be able to close its own tag.
        content = _TAG.sub(rf"<{INVISIBLE}\1\2", text_of(message))
        segments = [] if before else [control("<|im_start|>"), text("user\n")]
        segments.append(text(f"<tool_response>\n{content}\n</tool_response>" + ("\n" if after else "")))
        return segments if after else [*segments, control("<|im_end|>"), text("\n")]


def _system(content: str, tools: Sequence[ToolSpec]) -> list[Segment]:
    if not tools:
        return [text(content)]
    described = [describe_tool(tool) for tool in tools]
    # The closing sentences name `<tool_call>`, and in the published template they do so with the control
    # token.
    instructions = Segment("markup", fill("hermes_calls"))
    return [text(fill("hermes_tools", system=content, tools=described)), instructions]


def _shown(content: str) -> str:
    return _HIDDEN_TAG.sub(r"<\1\2", content)
