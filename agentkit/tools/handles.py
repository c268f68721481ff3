"""Handles: short names such as `order#7` that stand for ids, so that a small model copies them well and invents none.

A tool says where ids are in its results. The model reads the handle in place of the id and writes it as an argument;
whoever runs the call puts the id back. Which handles there are is read from the results themselves: a handle that no
tool issued stands for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import JsonValue

from agentkit.messages import Message, Part, ToolResult


def issue_handles(
    result: ToolResult, places: Mapping[str, str], issued: Mapping[str, JsonValue]
) -> ToolResult:
    """A result whose text shows handles in place of ids; its `data` keeps the ids.

    Args:
        result: What a tool returned. Without data, or not `ok`, it stays as it is.
        places: Where the ids are, and their kind: see `@tool(handles=…)`.
        issued: The handles of the conversation so far; an id keeps the handle that it has.
    """
    if not places or result.data is None or result.status != "ok":
        return result
    names = dict(issued)
    shown: dict[str, JsonValue] = {}
    data = result.data
    for path, kind in places.items():
        data = _replaced(data, path.split(".") if path else [], kind, names, shown)
    if not shown:
        return result
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    part = Part(text=text, trust=result.parts[0].trust)
    return result.model_copy(update={"parts": (part,), "handles": shown})


def issued_handles(messages: Iterable[Message]) -> dict[str, JsonValue]:
    """Every handle that the results of a transcript issued, with its id."""
    return {
        handle: value
        for message in messages
        if isinstance(message, ToolResult)
        for handle, value in message.handles.items()
    }


def resolved(value: JsonValue, kind: str, issued: Mapping[str, JsonValue]) -> JsonValue:
    """A value with the handles of one kind replaced by the ids that they stand for, at any depth."""
    if isinstance(value, str):
        return issued.get(value, value) if value.startswith(f"{kind}#") else value
    if isinstance(value, list):
        return [resolved(each, kind, issued) for each in value]
    if isinstance(value, dict):
        return {name: resolved(each, kind, issued) for name, each in value.items()}
    return value


def with_ids(text: str, issued: Mapping[str, JsonValue]) -> str:
    """A reply with the ids in place of handles: what the user knows them by."""
    for handle in sorted(issued, key=len, reverse=True):
        text = text.replace(handle, str(issued[handle]))
    return text


def is_opaque(value: JsonValue) -> bool:
    """Whether a value says nothing to a reader, such as a number: a name is shown as it is, not as a handle."""
    return not isinstance(value, str) or any(character.isdigit() for character in value)


def _replaced(
    value: Any, path: list[str], kind: str, names: dict[str, JsonValue], shown: dict[str, JsonValue]
) -> Any:
    if isinstance(value, list):
        return [_replaced(each, path, kind, names, shown) for each in value]
    if path:
        if not isinstance(value, dict) or path[0] not in value:
            return value
        return {**value, path[0]: _replaced(value[path[0]], path[1:], kind, names, shown)}
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return value
    handle = _handle_of(value, kind, names)
    shown[handle] = value
    return handle if is_opaque(value) else value


def _handle_of(value: JsonValue, kind: str, names: dict[str, JsonValue]) -> str:
    of_kind = {handle: known for handle, known in names.items() if handle.startswith(f"{kind}#")}
    found = next((handle for handle, known in of_kind.items() if known == value), None)
    if found is None:
        found = f"{kind}#{len(of_kind) + 1}"
        names[found] = value
    return found
