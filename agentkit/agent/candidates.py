"""Which values may stand for an authority argument: only those that trusted text holds.

An authority argument decides whom or what a call touches (an order number, an address, an amount). Its schema
is narrowed to the values found in trusted text before the generator writes, so that an invented order number
is not unlikely but impossible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic import JsonValue

from agentkit.messages import Assistant, Message, Part, System, ToolCall, ToolResult, ToolSpec, User
from agentkit.tools import Tool, is_opaque, issued_handles

_EMAIL: Final = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_FORMATS: Final[Mapping[str, str]] = {"email": _EMAIL, "date": r"\d{4}-\d{2}-\d{2}"}
_INTEGER: Final = r"-?\d{1,15}"


@dataclass(frozen=True)
class TrustedText:
    """Texts that authority arguments may be copied from: what a user or a trusted tool is the source of.

    Each kind is read from the transcript when it is asked for: most calls ask for none or one.

    Args:
        current: What the user says in this message.
        history: Messages of earlier turns.
        this_turn: Calls and results of this turn so far; they do not change any more.
        handles_only: Of the transcript only the handles count, for what a person types.
    """

    current: str
    history: Sequence[Message] = ()
    this_turn: Sequence[Message] = ()
    handles_only: bool = False

    @cached_property
    def earlier(self) -> tuple[str, ...]:
        """Earlier trusted texts of the conversation, newest first."""
        return tuple(text for text, _ in self._said)

    @cached_property
    def origins(self) -> tuple[str, ...]:
        """Where each of `earlier` comes from, for explanations: `user` or `tool:NAME`."""
        return tuple(origin for _, origin in self._said)

    @cached_property
    def issued(self) -> Mapping[str, JsonValue]:
        """Handles that tools issued in the conversation, and the ids that they stand for."""
        return issued_handles((*self.history, *self.this_turn))

    @cached_property
    def issued_now(self) -> Mapping[str, JsonValue]:
        """Those that results of this turn show."""
        return issued_handles(self.this_turn)

    @cached_property
    def vouched(self) -> Mapping[str, JsonValue]:
        """Those whose ids a tool came up with, without being called with them."""
        return _vouched(self._messages, self._asked)

    def everything(self) -> str:
        """All of it, newest first."""
        return "\n".join((self.current, *self.earlier))

    @cached_property
    def _messages(self) -> tuple[Message, ...]:
        return () if self.handles_only else (*self.history, *self.this_turn)

    @cached_property
    def _asked(self) -> Mapping[str, ToolCall]:
        return {call.id: call for m in self._messages if isinstance(m, Assistant) for call in m.calls}

    @cached_property
    def _said(self) -> list[tuple[str, str]]:
        return [
            (
                _own_words(part.text, message, self._asked),
                f"tool:{message.name}" if isinstance(message, ToolResult) else "user",
            )
            for message in self._messages
            for part in _parts(message)
            if part.trust in ("user", "tool")
        ][::-1]


@dataclass(frozen=True)
class Narrowed:
    """A tool whose authority arguments are limited to known values.

    Args:
        tool: The tool.
        spec: Its specification with narrowed schemas.
        missing: First required authority argument without any known value; None if all are known.
        determined: The arguments, where the schema leaves exactly one possibility.
    """

    tool: Tool
    spec: ToolSpec
    missing: str | None
    determined: dict[str, Any] | None


def _vouched(messages: Sequence[Message], asked: Mapping[str, ToolCall]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for message in messages:
        if isinstance(message, ToolResult) and message.handles:
            call = asked.get(message.call_id)
            given = [*scalars(list(call.arguments.values()))] if call is not None else []
            found |= {handle: value for handle, value in message.handles.items() if value not in given}
    return found


def _own_words(text: str, message: Message, asked: Mapping[str, ToolCall]) -> str:
    """What a tool says of its own: without the arguments that it was called with, which it may only repeat, and
    without handles, since the 7 of `order#7` is no number that anybody said."""
    if not isinstance(message, ToolResult):
        return text
    for handle in sorted(message.handles, key=len, reverse=True):
        text = text.replace(handle, "")
    call = asked.get(message.call_id)
    for value in scalars(list(call.arguments.values()) if call is not None else []):
        if isinstance(value, bool) or value == "":
            continue
        body = r"\s+".join(re.escape(word) for word in str(value).split())
        text = re.sub(rf"(?<![\w-]){body}(?:\.0)?(?![\w-])", "", text, flags=re.IGNORECASE)
    return text


def scalars(value: JsonValue, fields: AbstractSet[str] = frozenset()) -> Iterator[str | int | float | bool]:
    """The scalars of a value, at any depth, and the keys of objects that are none of `fields`; null is none."""
    if isinstance(value, list):
        for each in value:
            yield from scalars(each, fields)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key not in fields:
                yield key
            yield from scalars(each, fields)
    elif value is not None:
        yield value


def _parts(message: Message) -> tuple[Part, ...]:
    match message:
        case User() | ToolResult():
            return message.parts
        case Assistant() | System():
            # What the bot said may repeat untrusted text; what it quotes from tools is in their results.
            return ()


def narrow(tool: Tool, trusted: TrustedText, known: Mapping[str, JsonValue]) -> Narrowed:
    """Limit the authority arguments of `tool` to values that somebody trusted has named.

    Values of the current message come first, then those settled while the bot was asking for the rest
    (`known`). Earlier texts of the conversation count only for tools that look: "cancel an order" said after
    order 1042 was discussed does not mean 1042.
    """
    parameters = dict(tool.spec.parameters)
    properties: dict[str, Any] = dict(parameters.get("properties", {}))
    required: Sequence[str] = parameters.get("required", ())
    missing: str | None = None
    authority = tool.authority
    for name in [name for name in properties if name in authority]:
        found = _values(name, properties[name], tool, trusted, known)
        if found is None:
            continue
        if found:
            properties[name] = {**_without_shape(_without_null(properties[name])), "enum": list(found)}
            if any(isinstance(value, str) for value in found):
                properties[name]["type"] = "string"
        elif name in required:
            missing = missing or name
        else:
            del properties[name]
    parameters["properties"] = properties
    spec = tool.spec.model_copy(update={"parameters": parameters}) if authority else tool.spec
    return Narrowed(tool, spec, missing, _determined(properties, required))


def suggestions(tool: Tool, argument: str, trusted: TrustedText) -> tuple[str, ...]:
    """Values of `argument` that earlier text named: offered in the question, never used without an answer."""
    pattern = _pattern(tool.spec.parameters["properties"][argument])
    return _matches(pattern, trusted.earlier) if pattern else ()


def listable(tool: Tool, argument: str) -> bool:
    """Whether the values of `argument` have a shape that text can be searched for (a number, a date)."""
    return _pattern(tool.spec.parameters["properties"][argument]) is not None


def _determined(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any] | None:
    if set(properties) - set(required):
        return None
    values = {name: schema.get("enum", ()) for name, schema in properties.items()}
    if any(len(options) != 1 for options in values.values()):
        return None
    return {name: options[0] for name, options in values.items()}


def _without_shape(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in schema.items() if k not in ("pattern", "format", "minLength", "maxLength")}


def _values(
    name: str, schema: Mapping[str, Any], tool: Tool, trusted: TrustedText, known: Mapping[str, JsonValue]
) -> tuple[Any, ...] | None:
    """Values of one argument; None where the schema is too open to list them: the gate checks these later."""
    pattern = _pattern(schema)
    handles = _handles(tool.kind_of(name), trusted.issued if tool.effect == "read" else trusted.issued_now)
    if pattern is None:
        return (known[name],) if name in known else handles or None
    convert = int if _without_null(schema).get("type") == "integer" else str
    found = _matches(pattern, (trusted.current,))
    if not found and name in known:
        return (known[name],)
    if not found and handles:
        return handles
    if not found and tool.effect == "read":
        # The newest text that names any: what is being talked about now.
        found = next((values for text in trusted.earlier if (values := _matches(pattern, (text,)))), ())
    return tuple(convert(value) for value in found)


def _handles(kind: str, issued: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """How values of a kind that tools issued are written: as the model read them."""
    of_kind = [(handle, value) for handle, value in issued.items() if kind and handle.startswith(f"{kind}#")]
    return tuple(handle if is_opaque(value) else str(value) for handle, value in of_kind)


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of `T` for one of `T | None`: a value that was said is never null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _pattern(schema: Mapping[str, Any]) -> re.Pattern[str] | None:
    schema = _without_null(schema)
    if schema.get("type") == "integer":
        body = _INTEGER
    elif schema.get("type") == "string" and schema.get("format") in _FORMATS:
        body = _FORMATS[schema["format"]]
    elif schema.get("type") == "string" and _is_anchored(schema.get("pattern", "")):
        body = schema["pattern"][1:-1]
    else:
        return None
    # Whole tokens only: 1042 is not found in 10425 nor in A-1042.
    return re.compile(rf"(?<![\w-])(?:{body})(?![\w-])")


def _is_anchored(pattern: str) -> bool:
    return pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith(r"\$")


def _matches(pattern: re.Pattern[str], texts: Iterable[str]) -> tuple[str, ...]:
    found = dict.fromkeys(match.group(0) for text in texts for match in pattern.finditer(text))
    return tuple(found)
