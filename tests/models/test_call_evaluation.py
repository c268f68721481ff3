from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import BotFileError, ConstraintUnmet
from agentkit.messages import ToolCall, ToolSpec, user
from agentkit.models.call_rows import CallPrediction, CallRow, read_call_rows, same_types
from agentkit.models.evaluation import evaluate_calls, passes_a_token, score_calls
from agentkit.models.protocols import Generator, Usage
from agentkit.testing import Calls, Chooses, Fails, RandomGenerator, Says, ScriptedGenerator, ScriptStep

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "base": {"type": "integer"},
        "ratio": {"type": "number"},
        "unit": {"type": "string"},
        "sides": {"type": "array", "items": {"type": "string"}},
        "where": {"type": "object", "properties": {"city": {"type": "string"}}},
        "exact": {"type": "boolean"},
        "points": {"type": "array", "items": {"type": "number"}},
    },
    "required": ["base"],
}
AREA = ToolSpec(name="area", description="", parameters=PARAMETERS)


def row(*expected: dict[str, Any], name: str = "r", asked: str = "?") -> CallRow:
    return CallRow(id=name, messages=(user(asked),), tools=(AREA,), expected=tuple(expected))


def prediction(*calls: dict[str, Any], name: str = "r", note: str = "") -> CallPrediction:
    made = tuple(ToolCall(id=f"call_{n}", name="area", arguments=c) for n, c in enumerate(calls))
    return CallPrediction(name, made, "", note)


SCORES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"base": 10}, {"base": [10]}, True),
    ({"base": 10}, {"base": [10], "unit": ["cm", ""]}, True),
    ({"base": 10}, {"base": [10], "unit": ["cm"]}, False),
    ({"base": 10, "unit": "C.M"}, {"base": [10], "unit": ["cm"]}, True),
    ({"base": 10, "unit": "mm"}, {"base": [10], "unit": ["cm"]}, False),
    ({"base": 10, "exact": True}, {"base": [10]}, False),
    ({"base": 11}, {"base": [10]}, False),
    ({"base": 10.0}, {"base": [10]}, False),
    ({"base": "10"}, {"base": [10]}, False),
    ({"unit": "cm"}, {"base": [10], "unit": ["cm"]}, False),
    ({"base": 1, "ratio": 5}, {"base": [1], "ratio": [5.0]}, True),
    ({"base": 1, "ratio": 5.5}, {"base": [1], "ratio": [5.0]}, False),
    ({"base": 1, "exact": True}, {"base": [1], "exact": [True]}, True),
    ({"base": 1, "exact": True}, {"base": [1], "exact": [1]}, False),
    ({"base": 1, "sides": ["A b", "c"]}, {"base": [1], "sides": [["ab", "C"]]}, True),
    ({"base": 1, "sides": ["c", "ab"]}, {"base": [1], "sides": [["ab", "c"]]}, False),
    ({"base": 1, "points": [1.0, 2.0]}, {"base": [1], "points": [[1.0, 2.0]]}, True),
    ({"base": 1, "points": [1, 2]}, {"base": [1], "points": [[1.0, 2.0]]}, False),
    ({"base": 1, "points": [1, 2]}, {"base": [1], "points": [[1, 2]]}, True),
    ({"base": 1, "where": {"city": "Köln"}}, {"base": [1], "where": [{"city": ["köln", "Cologne"]}]}, True),
    ({"base": 1, "where": {}}, {"base": [1], "where": [{"city": ["köln"]}]}, False),
    ({"base": 1, "where": {"land": "x"}}, {"base": [1], "where": [{"city": ["köln", ""]}]}, False),
]


@pytest.mark.parametrize(("arguments", "allowed", "right"), SCORES)
def test_a_call_is_scored_by_its_name_and_each_argument(
    arguments: dict[str, Any], allowed: dict[str, Any], right: bool
) -> None:
    assert score_calls([prediction(arguments)], [row({"area": allowed})]).right == int(right)


def test_parallel_calls_are_right_in_any_order_and_only_all_of_them() -> None:
    wanted = row({"area": {"base": [1]}}, {"area": {"base": [2]}})
    assert score_calls([prediction({"base": 2}, {"base": 1})], [wanted]).right == 1
    assert score_calls([prediction({"base": 1}, {"base": 1})], [wanted]).right == 0
    assert score_calls([prediction({"base": 1})], [wanted]).right == 0


def test_where_no_call_is_right_calling_is_wrong() -> None:
    quiet, loud = prediction(name="a"), prediction({"base": 1}, name="b")
    scores = score_calls([quiet, loud], [row(name="a"), row(name="b")])
    assert (scores.wanting_none, scores.right_none, scores.accuracy) == (2, 1, 0.5)


def test_a_row_that_was_not_run_is_wrong_and_counted() -> None:
    scores = score_calls([prediction(note="refused")], [row()])
    assert (scores.right, scores.not_run) == (0, 1)


def test_calls_outside_their_schema_are_named() -> None:
    unknown = CallPrediction("u", (ToolCall(id="x", name="other", arguments={}),), "")
    rows = [row(name="a"), row(name="u"), row(name="ok")]
    scores = score_calls(
        [prediction({"base": "x"}, name="a"), unknown, prediction({"base": 1}, name="ok")], rows
    )
    assert scores.schema_failures == ("a", "u")


def test_rows_without_expected_calls_are_not_scored() -> None:
    unscored = CallRow(id="r", messages=(user("?"),), tools=(AREA,))
    assert score_calls([prediction()], [unscored]).rows == 0


def write(folder: Path, *lines: str) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_rows_are_read_with_their_types_made_json_schema(tmp_path: Path) -> None:
    line = {
        "id": "1",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "tools": [{"name": "f", "parameters": {"type": "dict", "properties": {"x": {"type": "float"}}}}],
        "expected": [{"f": {"x": [1.5]}}],
    }
    (read,) = read_call_rows(write(tmp_path, json.dumps(line), ""))
    assert [m.role for m in read.messages] == ["system", "user"]
    assert read.tools[0].parameters == {"type": "object", "properties": {"x": {"type": "number"}}}
    assert read.expected == ({"f": {"x": [1.5]}},)


def test_types_of_programming_languages_become_those_of_json() -> None:
    schema = {
        "type": "dict",
        "properties": {"type": {"type": "any"}, "l": {"type": "tuple", "items": {"type": "String"}}},
    }
    assert same_types(schema) == {
        "type": "object",
        "properties": {"type": {}, "l": {"type": "array", "items": {"type": "string"}}},
    }
    assert same_types({"type": "quux"}) == {"type": "quux"}


GOOD = '{"id": "1", "messages": [{"role": "user", "content": "u"}], "tools": []}'


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("{", None),
        ("3", None),
        ('{"id": 1, "messages": [{"role": "user", "content": "u"}], "tools": []}', "id"),
        ('{"id": "1", "messages": [], "tools": []}', "messages"),
        ('{"id": "1", "messages": [{"role": "robot", "content": "u"}], "tools": []}', "messages.0.role"),
        ('{"id": "1", "messages": [{"role": "user", "content": "u"}], "tools": [{}]}', "tools.0.name"),
        ('{"id": "1", "messages": [{"role": "user", "content": "u"}], "tools": [], "more": 1}', "more"),
    ],
)
def test_a_bad_row_is_an_error_with_file_line_and_field(tmp_path: Path, line: str, field: str | None) -> None:
    path = write(tmp_path, GOOD, line)
    with pytest.raises(BotFileError) as failure:
        read_call_rows(path)
    assert (failure.value.path, failure.value.line, failure.value.field) == (path, 2, field)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BotFileError, match=r"missing\.jsonl"):
        read_call_rows(tmp_path / "missing.jsonl")


def test_predictions_are_lines_of_json() -> None:
    steps: list[ScriptStep] = [
        Chooses([0.9]),
        Calls([("area", {"base": 1, "unit": "cm²"})]),
        Chooses([0.1]),
        Says("No."),
    ]
    with ScriptedGenerator(steps) as generator:
        made = list(evaluate_calls([row(name="a", asked="1 cm²"), row(name="b")], generator))
    assert made[0].to_json() == (
        '{"id": "a", "calls": [{"name": "area", "arguments": {"base": 1, "unit": "cm²"}}], "text": ""}'
    )
    assert json.loads(made[1].to_json()) == {"id": "b", "calls": [], "text": "No."}


def test_numbers_are_predicted_as_their_schema_declares_them() -> None:
    steps = [Calls([("area", {"base": 1, "ratio": 2, "points": [3, 4.5], "exact": True})])]
    with ScriptedGenerator(steps) as generator:
        (made,) = evaluate_calls([row(asked="1 by 2, 3 to 4.5")], generator, tool_choice="required")
    assert '"base": 1, "ratio": 2.0, "points": [3.0, 4.5], "exact": true' in made.to_json()


def test_passes_are_counted_for_replies_that_call() -> None:
    call = ToolCall(id="call_0", name="area", arguments={"base": 1})
    calls = [
        CallPrediction("a", (call,), "", usage=Usage(generated_tokens=30, forward_passes=n)) for n in (5, 7)
    ]
    text = CallPrediction("b", (), "no", usage=Usage(generated_tokens=60, forward_passes=60))
    assert passes_a_token([*calls, text]) == 12 / 60
    assert passes_a_token([text]) is None


def test_a_call_that_has_nothing_to_do_with_the_question_becomes_text() -> None:
    steps: list[ScriptStep] = [Chooses([0.9]), Calls([("area", {"base": 7})]), Says("I cannot tell.")]
    with ScriptedGenerator(steps) as generator:
        (made,) = evaluate_calls([row(asked="Who was Goethe?")], generator)
    assert (made.calls, made.text) == ((), "I cannot tell.")
    with ScriptedGenerator([Calls([("area", {"base": 7})])]) as generator:
        (made,) = evaluate_calls([row(asked="Who was Goethe?")], generator, tool_choice="required")
    assert [call.arguments for call in made.calls] == [{"base": 7}]


def test_a_row_without_tools_is_answered_with_text() -> None:
    bare = CallRow("r", (user("Hello"),), (), ())
    with ScriptedGenerator([Chooses([1.0]), Says("Hello!")]) as generator:
        (made,) = evaluate_calls([bare], generator)
    assert made.text == "Hello!"


def test_a_row_that_cannot_be_run_does_not_stop_the_others() -> None:
    odd = CallRow("odd", (user("?"),), (ToolSpec(name="f", description="", parameters={"contains": {}}),), ())
    generator: Generator = RandomGenerator(1)
    made = list(evaluate_calls([odd, row(name="fine")], generator, tool_choice="required", max_tokens=2000))
    assert [p.id for p in made] == ["odd", "fine"]
    assert "`contains`" in made[0].note
    assert made[1].calls
    assert json.loads(made[0].to_json()) == {"id": "odd", "calls": [], "text": ""}
    with ScriptedGenerator([Fails(ConstraintUnmet("too long")), Chooses([0.0]), Says("x")]) as generator:
        made = list(evaluate_calls([row(name="a"), row(name="b")], generator))
    assert [p.note for p in made] == ["too long", ""]
