"""Measuring tool calls: rows of questions with tools, the calls that a generator makes of them, and a score.

A row is a JSON object on a line, scored where it has `expected`:

    {"id", "messages": [{"role", "content"}], "tools": [{"name", "description", "parameters"}],
     "expected": [{tool: {argument: [allowed values]}}]}

The rules of the score are those of the Berkeley Function Calling Leaderboard's syntax tree check
(https://gorilla.cs.berkeley.edu/leaderboard.html), written anew from their description.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agentkit.errors import BotFileError, ConstraintError, RequestError
from agentkit.messages import (
    Assistant,
    Message,
    ToolCall,
    ToolSpec,
    assistant,
    system,
    text_of,
    user,
)
from agentkit.models.call_rules import CALL_THRESHOLD, is_about, says_something_new
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Finished,
    GenerationRequest,
    Generator,
    ReplyStart,
)
from agentkit.models.schema_check import violations

ToolChoice: TypeAlias = Literal["auto", "required"]
"""Whether the generator may answer with text (`auto`) or has to call."""

_TEXT_TOKENS: Final = 64
"""Text is not scored; enough of it is written to see what it is about."""
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
    """

    id: str
    calls: tuple[ToolCall, ...]
    text: str
    note: str = ""

    def to_json(self) -> str:
        """`{"id", "calls": [{"name", "arguments"}], "text"}` as one line."""
        calls = [{"name": call.name, "arguments": call.arguments} for call in self.calls]
        return json.dumps({"id": self.id, "calls": calls, "text": self.text}, ensure_ascii=False)


@dataclass(frozen=True)
class CallScores:
    """The score of a file.

    Args:
        rows: Rows that could be scored.
        right: Rows whose calls are all right.
        wanting_none: Rows where no call is right.
        right_none: Those of them in which nothing was called.
        not_run: Rows that could not be run; they count as wrong.
        schema_failures: Ids of rows with a call that does not fit its tool's schema.
    """

    rows: int
    right: int
    wanting_none: int
    right_none: int
    not_run: int
    schema_failures: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """Share of right rows."""
        return self.right / self.rows if self.rows else 0.0


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


def evaluate_calls(
    rows: Iterable[CallRow],
    generator: Generator,
    *,
    tool_choice: ToolChoice = "auto",
    max_calls: int = 8,
    max_tokens: int = 512,
) -> Iterator[CallPrediction]:
    """What `generator` makes of each row, greedily; a row that cannot be run has a note and does not stop the rest.

    With `auto`, the generator calls if it would begin a call with `CALL_THRESHOLD` probability and the call then
    uses something that the user said; else it answers with text. A call after the first must say something new.

    Args:
        rows: The questions.
        generator: Writes the calls.
        tool_choice: Whether text is allowed instead of a call.
        max_calls: Most calls in one reply.
        max_tokens: Most tokens of the calls of one reply.
    """
    for row in rows:
        try:
            reply = _answer(row, generator, tool_choice, max_calls, max_tokens)
        except (ConstraintError, RequestError) as error:
            yield CallPrediction(row.id, (), "", note=error.message)
            continue
        yield CallPrediction(row.id, reply.calls, text_of(reply))


def _answer(
    row: CallRow, generator: Generator, tool_choice: ToolChoice, max_calls: int, max_tokens: int
) -> Assistant:
    wanted = tool_choice == "required" or math.exp(_call_probability(row, generator)) >= CALL_THRESHOLD
    if wanted and row.tools:
        constraint = CallTools(
            allow_text=False, max_calls=max_calls, further=says_something_new(row.messages)
        )
        reply = _reply(generator, row, constraint, max_tokens)
        parameters = {tool.name: tool.parameters for tool in row.tools}
        first = reply.calls[0]
        if tool_choice == "required" or is_about(row.messages, first, parameters[first.name]):
            return reply
    return _reply(generator, row, CallTools(max_calls=0), _TEXT_TOKENS)


def _call_probability(row: CallRow, generator: Generator) -> float:
    request = ChoiceRequest(messages=row.messages, options=(ReplyStart.TOOL_CALL,), tools=row.tools)
    return generator.choose(request)[0]


def _reply(generator: Generator, row: CallRow, constraint: CallTools, max_tokens: int) -> Assistant:
    request = GenerationRequest(
        messages=row.messages, tools=row.tools, constraint=constraint, max_tokens=max_tokens
    )
    for delta in generator.generate(request):
        if isinstance(delta, Finished):
            return delta.reply
    raise AssertionError("a generator must end with Finished")


def score_calls(predictions: Sequence[CallPrediction], rows: Sequence[CallRow]) -> CallScores:
    """The score of predictions by the expected calls of their rows; rows without `expected` are left out."""
    by_id = {prediction.id: prediction for prediction in predictions}
    scored = [(row, by_id[row.id]) for row in rows if row.expected is not None and row.id in by_id]
    right = [_is_right(row, prediction) for row, prediction in scored]
    none = [ok for (row, _), ok in zip(scored, right, strict=True) if not row.expected]
    tools = {row.id: {tool.name: tool.parameters for tool in row.tools} for row in rows}
    failures = [
        p.id
        for p in predictions
        if any(any(violations(call.arguments, tools[p.id].get(call.name, False))) for call in p.calls)
    ]
    return CallScores(
        rows=len(scored),
        right=sum(right),
        wanting_none=len(none),
        right_none=sum(none),
        not_run=sum(bool(prediction.note) for prediction in predictions),
        schema_failures=tuple(failures),
    )


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


def _is_right(row: CallRow, prediction: CallPrediction) -> bool:
    expected = list(row.expected or ())
    if prediction.note or len(prediction.calls) != len(expected):
        return False
    left = list(prediction.calls)
    for answer in expected:  # in any order: the first call that fits an answer is used up
        found = next((call for call in left if _call_is_right(call, answer, row.tools)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _call_is_right(
    call: ToolCall, answer: dict[str, dict[str, list[JsonValue]]], tools: Sequence[ToolSpec]
) -> bool:
    name, allowed = next(iter(answer.items()))
    tool = next((tool for tool in tools if tool.name == name), None)
    if call.name != name or tool is None:
        return False
    properties, required = tool.parameters.get("properties", {}), tool.parameters.get("required", ())
    if any(key not in call.arguments for key in required):
        return False
    given = all(
        key in properties and key in allowed and _value_is_right(value, properties[key], allowed[key])
        for key, value in call.arguments.items()
    )
    return given and all(key in call.arguments or "" in values for key, values in allowed.items())


def _value_is_right(value: JsonValue, schema: Any, allowed: list[JsonValue]) -> bool:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    exact = {"integer": int, "number": float, "string": str, "boolean": bool, "array": list, "object": dict}
    if (
        kind in exact
        and type(value) is not exact[kind]
        and not any(type(value) is type(a) for a in allowed if a != "")
    ):
        return False
    return any(_same(value, answer) for answer in allowed if answer != "" or value == "")


def _same(value: JsonValue, answer: JsonValue) -> bool:
    if isinstance(value, str) and isinstance(answer, str):
        return _standard(value) == _standard(answer)
    if isinstance(value, list) and isinstance(answer, list):
        return len(value) == len(answer) and all(map(_same, value, answer))
    if isinstance(value, dict) and isinstance(answer, dict):
        # Inside an object, every key of the answer lists its allowed values, as the arguments do.
        options = {key: a if isinstance(a, list) else [a] for key, a in answer.items()}
        given = all(key in options and any(_same(v, a) for a in options[key]) for key, v in value.items())
        return given and all(key in value or "" in values for key, values in options.items())
    return value == answer and isinstance(value, bool) == isinstance(answer, bool)


def _standard(text: str) -> str:
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')
