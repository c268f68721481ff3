from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import BotFileError
from agentkit.models.schema_evaluation import (
    SchemaRow,
    SchemaScores,
    evaluate_schemas,
    percentiles,
    read_schema_rows,
)
from tests.models.schema_texts import CODEC, compiler

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


def scores_of(schema: Any, *instances: tuple[Any, bool]) -> SchemaScores:
    return evaluate_schemas([SchemaRow("r", schema, instances)], compiler(), CODEC)


def accepted(schema: Any, value: Any) -> bool:
    return scores_of(schema, (value, True)).valid_accepted == 1


def test_instances_are_counted_by_what_the_constraint_makes_of_them() -> None:
    scores = scores_of(PERSON, ({"name": "Ada", "age": 36}, True), ({"name": 3}, False), ({}, False))
    assert (scores.schemas, scores.refused) == (1, 0)
    assert (scores.valid, scores.valid_accepted) == (1, 1)
    assert (scores.invalid, scores.invalid_accepted) == (2, 0)
    assert scores.failures == []
    assert len(scores.mask_milliseconds) == len(scores.mask_processor_milliseconds) > 10
    assert len(scores.compile_milliseconds) == 1


def test_a_wrong_verdict_is_told_with_how_far_the_text_came() -> None:
    scores = scores_of(PERSON, ({"name": "Ada"}, False), ({"name": "Ada", "size": 1}, True))
    assert (scores.invalid_accepted, scores.valid_accepted) == (1, 0)
    first, second = scores.failures
    assert (first.id, first.instance, first.valid) == ("r", 0, False)
    assert (second.instance, second.valid, second.after) == (1, True, '{"name": "Ada", "')


def test_a_schema_that_is_refused_is_counted_by_its_feature_and_its_instances_nowhere() -> None:
    rows = [
        SchemaRow("a", {"contains": {}}, (([1], True), ([], False))),
        SchemaRow("b", {"contains": {}}, ()),
        SchemaRow("c", {"type": "integer", "minimum": 5, "maximum": 3}, ((4, False),)),
        SchemaRow("d", {"$ref": "#"}, ()),
        SchemaRow("e", 3, ()),
    ]
    scores = evaluate_schemas(rows, compiler(), CODEC)
    assert (scores.schemas, scores.refused, scores.valid, scores.invalid) == (5, 5, 0, 0)
    assert scores.refused_by_feature == {"contains": 2, "unsatisfiable": 1, "$ref": 1, "no schema": 1}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param(PERSON, {"age": 36, "name": "Ada"}, id="another order than that of properties"),
        pytest.param({"type": "array", "items": PERSON}, [{"age": 1, "name": "a"}] * 2, id="inside of a list"),
        pytest.param({"allOf": [PERSON | {"additionalProperties": True}, {"properties": {"z": {}}}]},
                     {"z": 1, "age": 2, "name": "a"}, id="joined schemas"),
        pytest.param({"const": {"b": 1, "a": 2}}, {"a": 2, "b": 1}, id="a constant"),
        pytest.param({"required": ["b", "a"]}, {"x": 0, "a": 1, "b": 2}, id="required and not listed"),
    ],
)  # fmt: skip
def test_an_instance_is_accepted_if_there_is_an_order_for_it(schema: Any, value: Any) -> None:
    assert accepted(schema, value)


def test_an_invalid_instance_is_tried_in_every_order() -> None:
    scores = scores_of(PERSON, ({"age": "x", "name": "Ada"}, False), ({"age": 1, "name": "a"}, False))
    assert (
        scores.invalid_accepted == 1
    )  # the second is called invalid wrongly, and only the other order shows it


def test_an_instance_with_very_many_properties_is_tried_in_bounded_time() -> None:
    value = {f"key {number}": number for number in range(40)}
    assert not accepted({"type": "object", "maxProperties": 39}, value)
    assert accepted({"type": "object", "maxProperties": 300}, {f"key {n}": n for n in range(300)})


def test_a_lone_surrogate_or_a_number_that_is_none_cannot_be_written() -> None:
    assert not accepted({}, "\ud800")
    assert not accepted({}, {"\ud800": 1})
    assert not accepted({}, float("nan"))
    assert accepted({}, "\ufffd")


def test_the_report_is_json() -> None:
    report = json.loads(scores_of(PERSON, ({"name": "Ada"}, True), ({"name": "Ada"}, False)).to_json())
    times = {"mask_ms", "mask_cpu_ms", "compile_ms"}
    assert all(report.pop(name).keys() == {"p50", "p99"} for name in times)
    assert report == {
        "schemas": 1,
        "refused": 0,
        "refused_by_feature": {},
        "valid": 1,
        "valid_accepted": 1,
        "invalid": 1,
        "invalid_accepted": 1,
        "failures": [{"id": "r", "instance": 1, "valid": False, "after": '{"name": "Ada"}', "reason": ""}],
    }


def test_times_are_summed_up_by_their_middle_and_their_end() -> None:
    assert percentiles([]) == {"p50": 0.0, "p99": 0.0}
    assert percentiles([float(n) for n in range(101)]) == {"p50": 50.0, "p99": 99.0}


GOOD = '{"id": "a", "schema": true, "instances": [{"data": "\\ud800\u2028", "valid": true}], "more": 1}'


def test_rows_are_read_and_empty_lines_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f"{GOOD}\n\n", "utf-8")
    assert read_schema_rows(file) == [SchemaRow("a", True, (("\ud800\u2028", True),))]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param("{", "rows.jsonl:2: is no JSON", id="no JSON"),
        pytest.param("[" * 5000, "rows.jsonl:2: is no JSON", id="too deep"),
        pytest.param("3", "rows.jsonl:2", id="no object"),
        pytest.param('{"id": "a", "instances": []}', "rows.jsonl:2: field `schema`", id="no schema"),
        pytest.param(
            '{"id": "a", "schema": {}, "instances": [{"data": 1, "valid": "?"}]}',
            "rows.jsonl:2: field `instances.0.valid`",
            id="neither valid nor invalid",
        ),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f"{GOOD}\n{line}\n", "utf-8")
    with pytest.raises(BotFileError) as failure:
        read_schema_rows(file)
    assert told in failure.value.message
    assert failure.value.hint


def test_a_file_that_is_empty_or_missing_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n", "utf-8")
    with pytest.raises(BotFileError, match="holds no schema"):
        read_schema_rows(tmp_path / "empty.jsonl")
    with pytest.raises(BotFileError, match="cannot be read"):
        read_schema_rows(tmp_path / "missing.jsonl")
