"""Questions with tools, and the calls that were made of them, as lines of JSON.

A row, scored where it has `expected`:

    {"id", "messages": [{"role", "content"}], "tools": [{"name", "description", "parameters"}],
     "expected": [{tool: {argument: [allowed values]}}]}
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agentkit.errors import BotFileError
from agentkit.messages import Message, ToolCall, ToolSpec, assistant, system, user
from agentkit.models.protocols import Usage

_SAME_TYPE: Final = {
    "dict": "object",
    "hashmap": "object",
    "map": "object",
    "float": "number",
    "double": "number",
    "int": "integer",
    "long": "integer",
    "short": "integer",
    "byte": "integer",
    "bool": "boolean",
    "str": "string",
    "char": "string",
    "tuple": "array",
    "list": "array",
    "set": "array",
    "arraylist": "array",
    "null": "null",
    "none": "null",
}
"""Names of programming languages' types that data sets use in place of JSON Schema's."""
_JSON_TYPES: Final = frozenset({"object", "number", "integer", "boolean", "string", "array", "null"})


class _RowMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Literal["system", "user", "assistant"]
    content: str


class _RowTool(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: str = Field(min_length=1)
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str
    messages: list[_RowMessage] = Field(min_length=1)
    tools: list[_RowTool]
    expected: list[dict[str, dict[str, list[JsonValue]]]] | None = None


@dataclass(frozen=True)
class CallRow:
    """One question.

    Args:
        id: Identifies it.
        messages: The transcript that ends with the question.
        tools: What may be called.
        expected: The calls that are right, each `{tool: {argument: [allowed values]}}`; empty where no call
            is right; None where the row is not scored.
    """

    id: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    expected: tuple[dict[str, dict[str, list[JsonValue]]], ...] | None = None


@dataclass(frozen=True)
class CallPrediction:
    """What the generator made of a row.

    Args:
        id: The row's.
        calls: Calls, in order.
        text: What it said where it did not call.
        note: Why there is neither, for a row that could not be run.
        usage: What the reply cost.
    """

    id: str
    calls: tuple[ToolCall, ...]
    text: str
    note: str = ""
    usage: Usage = field(default_factory=Usage)

    def to_json(self) -> str:
        """`{"id", "calls": [{"name", "arguments"}], "text"}` as one line."""
        calls = [{"name": call.name, "arguments": call.arguments} for call in self.calls]
        return json.dumps({"id": self.id, "calls": calls, "text": self.text}, ensure_ascii=False)


def read_call_rows(path: Path) -> list[CallRow]:
    """The rows of a JSON Lines file.

    Raises:
        BotFileError: The file cannot be read, or a line is no row; it names file, line and field.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BotFileError(f"cannot be read: {error}", path=path, hint="Name a JSON Lines file.") from error
    rows: list[CallRow] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(_row(_Row.model_validate_json(line)))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise BotFileError(
                first["msg"],
                path=path,
                line=number,
                field=field or None,
                hint='A row is {"id", "messages": [{"role", "content"}], "tools": [{"name", "parameters"}]}.',
            ) from error
    return rows


def as_declared(value: JsonValue, schema: Any) -> JsonValue:
    """`value` with whole numbers as floats where `schema` says `number`: JSON does not tell 12 from 12.0, the
    score does."""
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {key: as_declared(child, properties.get(key)) for key, child in value.items()}
    if isinstance(value, list):
        return [as_declared(child, schema.get("items")) for child in value]
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def same_types(schema: Any) -> Any:
    """`schema` with the type names of programming languages (`dict`, `float`, `tuple`, `any`) as JSON
    Schema's."""
    if not isinstance(schema, dict):
        return schema
    result = dict(schema)
    for key in ("properties", "patternProperties", "$defs", "definitions"):
        if isinstance(result.get(key), dict):
            result[key] = {name: same_types(child) for name, child in result[key].items()}
    for key in ("items", "additionalProperties"):
        if key in result:
            result[key] = same_types(result[key])
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if isinstance(result.get(key), list):
            result[key] = [same_types(child) for child in result[key]]
    kind = result.get("type")
    if isinstance(kind, str) and kind not in _JSON_TYPES:
        known = kind.lower() if kind.lower() in _JSON_TYPES else _SAME_TYPE.get(kind.lower())
        if known:
            result["type"] = known
        elif kind.lower() == "any":
            del result["type"]
    return result


def _row(row: _Row) -> CallRow:
    make: dict[str, Callable[[str], Message]] = {"system": system, "user": user, "assistant": assistant}
    messages = [make[message.role](message.content) for message in row.messages]
    tools = tuple(
        ToolSpec(name=t.name, description=t.description, parameters=same_types(t.parameters))
        for t in row.tools
    )
    expected = None if row.expected is None else tuple(row.expected)
    return CallRow(id=row.id, messages=tuple(messages), tools=tools, expected=expected)
