"""The score of predicted tool calls, by the rules of the Berkeley Function Calling Leaderboard's syntax tree check
(https://gorilla.cs.berkeley.edu/leaderboard.html), written anew from their description.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from agentkit.messages import ToolCall, ToolSpec
from agentkit.models.call_rows import CallPrediction, CallRow
from agentkit.models.schema_check import violations

_EXACT: Final = {
    "integer": int,
    "number": float,
    "string": str,
    "boolean": bool,
    "array": list,
    "object": dict,
}


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
    exact = _EXACT.get(kind) if isinstance(kind, str) else None
    if exact and type(value) not in {exact, *(type(answer) for answer in allowed if answer != "")}:
        return False
    if isinstance(value, list) and not any(_same_kinds(value, answer, schema) for answer in allowed):
        return False
    return any(_same(value, answer) for answer in allowed if answer != "" or value == "")


def _same_kinds(value: list[JsonValue], answer: JsonValue, schema: Any) -> bool:
    """Whether the items of a list have the declared type, or the one that the answer's first item has."""
    items = schema.get("items") if isinstance(schema, dict) else None
    kind = _EXACT.get(items.get("type", "")) if isinstance(items, dict) else None
    kinds = {kind, type(answer[0])} if isinstance(answer, list) and answer else {kind}
    return kind is None or all(type(item) in kinds for item in value)


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
