from __future__ import annotations

from typing import Any

import pytest

from agentkit.errors import ConstraintUnsupported
from agentkit.models.schema_check import violations
from agentkit.models.schema_support import enforceable, narrowed


def _nested(depth: int) -> Any:
    schema: Any = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


REFUSED: list[tuple[str, Any, str]] = [
    ("not", {"not": {"pattern": "^a"}}, "`not`"),
    ("if", {"if": {"pattern": "^a"}, "then": {"minLength": 3}}, "`if`"),
    ("contains", {"type": "array", "contains": {"type": "string"}}, "`contains`"),
    ("uniqueItems", {"type": "array", "uniqueItems": True}, "`uniqueItems`"),
    ("propertyNames", {"propertyNames": {"pattern": "^a", "maxLength": 3}}, "`propertyNames`"),
    ("dependentRequired", {"dependentRequired": {"a": "b"}}, "`dependentRequired`"),
    ("joined unevaluatedProperties", {"allOf": [{}], "unevaluatedProperties": False}, "`unevaluatedProp"),
    ("a misspelt keyword", {"type": "string", "maxLenght": 3}, "did you mean `maxLength`"),
    ("draft 4", {"type": "integer", "exclusiveMinimum": True}, "draft 4"),
    (
        "half draft 4",
        {"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": 3},
        "draft 4",
    ),
    ("a format that is not followed", {"format": "json-pointer"}, '`format: "json-pointer"`'),
    ("a misspelt format", {"format": "datetime"}, '`format: "datetime"`'),
    ("a format that nobody knows", {"format": "moon-phase"}, '`format: "moon-phase"`'),
    ("a format that is no name", {"format": 3}, "`format: 3`"),
    ("multipleOf 0", {"multipleOf": 0}, "`multipleOf: 0`"),
    ("a circle", {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}, "leads back"),
    ("a document inside", {"items": {"$id": "http://a.b/c", "$ref": "#/x"}}, "`$id`"),
    ("not reaching the depths", _nested(600), "as deep as this"),
    ("draft 3", {"type": "object", "properties": {"a": {"required": True}}}, "list of names"),
    ("false", False, "nothing satisfies"),
    ("no schema", 3, "no schema"),
    ("a control character", {"enum": ["a\x00b"]}, "control character"),
    ("keys without names", {"type": "object", "minProperties": 3}, "minProperties"),
]


@pytest.mark.parametrize(("schema", "named"), [pytest.param(s, n, id=i) for i, s, n in REFUSED])
def test_what_cannot_be_enforced_is_refused_by_name(schema: Any, named: str) -> None:
    with pytest.raises(ConstraintUnsupported) as failure:
        enforceable(schema, where="tool f")
    assert named in failure.value.message
    assert failure.value.hint
    assert failure.value.feature


def test_the_place_of_what_is_refused_is_told() -> None:
    with pytest.raises(
        ConstraintUnsupported, match="tool f › properties › inner › items: the keyword `contains`"
    ):
        enforceable({"properties": {"inner": {"items": {"contains": {}}}}}, where="tool f")


def test_annotations_are_dropped_and_constraints_kept() -> None:
    schema = {
        "title": "Order",
        "description": "An order.",
        "x-guidance": {"lenient": True},
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^a", "examples": ["ab"], "x-agentkit-authority": True}
        },
        "required": ["id"],
        "uniqueItems": False,
    }
    assert enforceable(schema) == {
        "type": "object",
        "properties": {"id": {"type": "string", "pattern": "^a"}},
        "required": ["id"],
    }


def test_a_property_may_have_any_name() -> None:
    schema = {"type": "object", "properties": {"not": {"type": "string"}, "title": {"type": "string"}}}
    assert enforceable(schema) == schema


def test_objects_are_closed_and_lists_bounded_unless_they_say_otherwise_or_are_joined() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert narrowed(inner) == inner | {"additionalProperties": False}
    assert narrowed({"type": "array", "items": inner})["items"] == inner | {"additionalProperties": False}
    assert narrowed({"type": "array", "items": inner})["maxItems"] == 50
    assert narrowed({"type": "array", "minItems": 70})["maxItems"] == 70
    assert narrowed({"anyOf": [inner]})["anyOf"][0] == inner | {"additionalProperties": False}
    for untouched in (
        inner | {"additionalProperties": True},
        {"type": "object"},
        {"type": "array", "maxItems": 99},
        {"allOf": [inner, inner]},
        {"$ref": "#/$defs/x", "properties": {}, "$defs": {"x": inner}},
    ):
        assert narrowed(untouched) == untouched


VALID: list[tuple[Any, Any]] = [
    ({"type": "integer"}, 3),
    ({"type": "integer"}, 3.0),
    ({"type": "number", "exclusiveMinimum": 0}, 0.5),
    ({"type": ["string", "null"]}, None),
    ({"enum": [1, "a"]}, "a"),
    ({"const": [1.0]}, [1]),
    ({"const": {"a": [1]}}, {"a": [1]}),
    ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"a": "x", "b": 1}),
    ({"type": "object", "patternProperties": {"^n": {"type": "integer"}}}, {"n1": 1}),
    ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", 1]),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 1),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, "x"),
    ({"type": "string", "pattern": "b"}, "abc"),
    ({"type": "number", "multipleOf": 0.1}, 0.3),
    (True, object),
]
INVALID: list[tuple[Any, Any]] = [
    ({"type": "integer"}, True),
    ({"type": "integer"}, "3"),
    ({"type": "integer"}, 3.5),
    ({"type": "number", "minimum": 1, "maximum": 2}, 3),
    ({"type": "number", "multipleOf": 2}, 3),
    ({"enum": [1]}, True),
    ({"const": 1}, 2),
    ({"const": {"a": 1}}, {"a": True}),
    ({"type": "object", "required": ["a"]}, {}),
    ({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}, {"b": 1}),
    ({"type": "object", "properties": {"a": {"items": {"type": "string"}}}}, {"a": [1]}),
    ({"type": "object", "maxProperties": 1}, {"a": 1, "b": 2}),
    ({"type": "array", "minItems": 2}, [1]),
    ({"type": "array", "items": [{"type": "string"}], "additionalItems": False}, ["a", 1]),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1),
    ({"allOf": [{"type": "integer"}, {"minimum": 5}]}, 4),
    ({"anyOf": [{"$ref": "#/definitions/a"}], "definitions": {"a": {"type": "string"}}}, 1),
    ({"type": "string", "maxLength": 2}, "abc"),
    ({"type": "string", "pattern": "^b"}, "abc"),
    (False, 1),
]


@pytest.mark.parametrize(("schema", "value"), VALID)
def test_a_value_that_fits_has_no_violations(schema: Any, value: Any) -> None:
    assert list(violations(value, schema)) == []


@pytest.mark.parametrize(("schema", "value"), INVALID)
def test_a_value_that_does_not_fit_is_told_where(schema: Any, value: Any) -> None:
    assert next(violations(value, schema, where="arguments")).startswith("arguments")
