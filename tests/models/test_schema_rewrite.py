from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import ConstraintUnsupported
from agentkit.models.schema_support import DECIDING
from tests.models.schema_texts import writes

SHAPE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "length": {"type": "integer"},
        "radius": {"type": "integer"},
        "width": {"type": "integer"},
    },
}
EITHER = [{"required": ["length", "width"]}, {"required": ["radius"]}]
KIND: dict[str, Any] = {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "size": {}}}
IS_A = {"properties": {"kind": {"const": "a"}}, "required": ["kind"]}
TAGGED = [
    {"type": "object", "properties": {"kind": {"const": name}, "size": {"type": kind}}, "required": ["kind"]}
    for name, kind in (("a", "integer"), ("b", "string"))
]
CLOSED = {"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": False}
REST = {"type": "object", "properties": {"a": {"$ref": "#/rest/inner"}}, "rest": {"inner": {"type": "null"}}}

CASES: list[tuple[str, Any, list[str], list[str]]] = [
    (
        "oneOf of required properties",
        SHAPE | {"oneOf": EITHER},
        ['{"radius": 1}', '{"length": 1, "width": 2}', '{"length": 1, "radius": 2}'],
        ["{}", '{"length": 1}', '{"length": 1, "radius": 2, "width": 3}'],
    ),
    (
        "oneOf told apart by a tag",
        {"oneOf": TAGGED},
        ['{"kind": "a", "size": 1}', '{"kind": "b", "size": "x"}'],
        ['{"kind": "a", "size": "x"}', '{"size": 1}', "3"],
    ),
    ("oneOf of types", {"oneOf": [{"type": "string"}, {"type": "null"}]}, ['"a"', "null"], ["1"]),
    (
        "oneOf that overlaps",
        {"type": "integer", "oneOf": [{"minimum": 0}, {"maximum": 5}]},
        ["-1", "6"],
        ["0", "3", "5"],
    ),
    (
        "oneOf with the same twice",
        {"oneOf": [{"type": "string"}, {"type": "string"}, {"type": "null"}]},
        ["null"],
        ['"a"'],
    ),
    (
        "not of a type",
        {"not": {"type": ["string", "number"]}},
        ["null", "[1]", '{"a": "b"}'],
        ['"a"', "1", "1.5"],
    ),
    (
        "not of words",
        {"type": "string", "not": {"enum": ["cat", "car", ""]}},
        ['"ca"', '"cart"', '"dog"', '"c\\n"'],
        ['"cat"', '"car"', '""', "1"],
    ),
    ("not of a listed value", {"enum": [1, "a", None], "not": {"type": "string"}}, ["1", "null"], ['"a"']),
    (
        "not of required",
        {"type": "object", "not": {"required": ["a", "b"]}},
        ["{}", '{"a": 1}', '{"c": 1}'],
        ['{"a": 1, "b": 1}', '{"b": 1, "a": 1}'],
    ),
    (
        "not of anything",
        {"type": "object", "properties": {"a": {"not": {}}}},
        ["{}", '{"b": 1}'],
        ['{"a": 1}'],
    ),
    ("not of bounds", {"type": "integer", "not": {"minimum": 3}}, ["2", "-1"], ["3", "4"]),
    (
        "if, then and else",
        KIND | {"if": IS_A, "then": {"required": ["size"]}, "else": {"properties": {"size": False}}},
        ['{"kind": "a", "size": 1}', '{"kind": "b"}', "{}"],
        ['{"kind": "a"}', '{"kind": "b", "size": 1}', '{"size": 1}'],
    ),
    ("if alone", {"type": "integer", "if": {"pattern": "a"}}, ["1"], ['"a"']),
    (
        "dependentRequired",
        SHAPE | {"dependentRequired": {"length": ["width"]}},
        ["{}", '{"width": 1}', '{"length": 1, "width": 1}'],
        ['{"length": 1}', '{"length": 1, "radius": 1}'],
    ),
    (
        "dependencies of draft 7",
        SHAPE | {"dependencies": {"length": {"properties": {"radius": False}}, "radius": []}},
        ['{"length": 1}', '{"radius": 1}'],
        ['{"length": 1, "radius": 1}'],
    ),
    (
        "dependentSchemas of what has to be there speak of objects only",
        {"required": ["a"], "dependentSchemas": {"a": {"items": {"type": "null"}}}},
        ["[1]", '{"a": 1}'],
        ["{}"],
    ),
    (
        "propertyNames by pattern",
        {"type": "object", "propertyNames": {"pattern": "^a"}, "additionalProperties": {"type": "null"}},
        ["{}", '{"ab": null}'],
        ['{"b": null}', '{"ab": 1}'],
    ),
    (
        "propertyNames by length",
        {"type": "object", "propertyNames": {"maxLength": 1}},
        ['{"a": 1}'],
        ['{"ab": 1}'],
    ),
    (
        "propertyNames by list",
        {"type": "object", "propertyNames": {"enum": ["a"]}},
        ['{"a": 1}'],
        ['{"b": 1}'],
    ),
    (
        "unevaluatedProperties where nothing is joined",
        {"type": "object", "properties": {"a": {}}, "unevaluatedProperties": False},
        ['{"a": 1}'],
        ['{"b": 1}'],
    ),
    ("minProperties of optional ones", CLOSED | {"minProperties": 1}, ['{"a": 1}', '{"b": 1}'], ["{}"]),
    ("maxProperties that all fit", CLOSED | {"maxProperties": 2}, ["{}", '{"a": 1, "b": 1}'], ['{"c": 1}']),
    ("draft 4 bounds", {"type": "integer", "minimum": 3, "exclusiveMinimum": True}, ["4"], ["3"]),
    (
        "draft 4 bounds that are off",
        {"type": "integer", "maximum": 3, "exclusiveMaximum": False},
        ["3"],
        ["4"],
    ),
    ("counts with a point", {"type": "string", "maxLength": 2.0}, ['"ab"'], ['"abc"']),
    ("a $ref to any place", REST, ['{"a": null}'], ['{"a": 1}']),
    (
        "a $ref to itself by its name",
        {"$id": "http://a.b/c", "type": "array", "items": {"$ref": "http://a.b/c#"}},
        ["[[], [[]]]"],
        ["[1]"],
    ),
    ("recursion", {"type": "object", "properties": {"a": {"$ref": "#"}}}, ['{"a": {"a": {}}}'], ['{"a": 1}']),
    (
        "days of February",
        {"format": "date"},
        ['"2024-02-29"', '"2000-02-29"'],
        ['"2021-02-29"', '"1900-02-29"'],
    ),
    ("a date and a pattern", {"format": "date", "pattern": "^2"}, ['"2021-01-31"', "1"], ['"1999-01-31"']),
    ("a format of numbers", {"type": "integer", "format": "int32"}, ["1"], ['"1"']),
    ("a note instead of a format", {"type": "string", "format": "binary"}, ['"x"'], ["1"]),
    ("a point is no line end", {"type": "string", "pattern": "^.$"}, ['"x"'], ['"\\r"', '"\u2028"']),
    ("no space is no byte order mark", {"type": "string", "pattern": r"^\S$"}, ['"x"'], ['"\ufeff"', '" "']),
    ("a point in a class", {"type": "string", "pattern": r"^[.\]]\.$"}, ['".."', '"]."'], ['"x."']),
]


@pytest.mark.parametrize(("schema", "fits", "fails"), [pytest.param(*case, id=i) for i, *case in CASES])
def test_another_form_of_a_keyword_allows_the_same(schema: Any, fits: list[str], fails: list[str]) -> None:
    assert [text for text in fits if not writes(schema, text)] == []
    assert [text for text in fails if writes(schema, text)] == []


REFUSED: list[tuple[str, Any, str]] = [
    ("alternatives that cannot be told apart", {"oneOf": [{"pattern": "a"}, {"pattern": "b"}]}, "oneOf"),
    ("conflicting bounds", {"type": "integer", "minimum": 5, "maximum": 3}, "unsatisfiable"),
    ("a pattern that looks ahead", {"type": "string", "pattern": "^(?!a)"}, "pattern"),
    (
        "patterns of names that overlap",
        {"patternProperties": {"^a": {}, "b$": {"type": "null"}}},
        "patternProperties",
    ),
    (
        "names by pattern where listed ones have rules of their own",
        {
            "properties": {"a": {}},
            "additionalProperties": {"type": "null"},
            "propertyNames": {"pattern": "a"},
        },
        "propertyNames",
    ),
    ("a missing definition", {"$ref": "#/$defs/a"}, "$ref"),
    ("a document somewhere else", {"$ref": "https://a.b/c"}, "$ref"),
    ("a type that there is not", {"type": "text"}, "type"),
    ("a length that is no number", {"minLength": "x"}, "minLength"),
]


@pytest.mark.parametrize(("schema", "feature"), [pytest.param(s, f, id=i) for i, s, f in REFUSED])
def test_what_has_no_other_form_is_refused_by_its_feature(schema: Any, feature: str) -> None:
    with pytest.raises(ConstraintUnsupported) as failure:
        writes(schema, "1")
    assert failure.value.feature == feature


def test_an_enumeration_of_thousands_is_enforced() -> None:
    schema = {"enum": [f"value {number}" for number in range(5000)]}
    assert writes(schema, '"value 4999"')
    assert not writes(schema, '"value 5000"')


def test_alternatives_without_end_are_refused_soon() -> None:
    options = [{"required": [f"{a}{b}" for b in "abcdef"]} for a in range(40)]
    with pytest.raises(ConstraintUnsupported):
        writes({"type": "object", "oneOf": options}, "{}")


KEYWORDS = st.sampled_from(sorted(DECIDING))
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "a", "object", "#", "#/$defs/a", "#/not", "(", [], {}, ["a"]]
)
RUBBISH = st.recursive(
    VALUES,
    lambda child: st.lists(child, max_size=3) | st.dictionaries(KEYWORDS | st.just("a"), child, max_size=4),
    max_leaves=12,
)


@given(schema=st.dictionaries(KEYWORDS, RUBBISH, max_size=5))
@settings(max_examples=100, deadline=None)
def test_whatever_is_no_schema_is_refused_with_a_reason(schema: dict[str, Any]) -> None:
    refusal = refused(schema)
    assert refusal is None or (refusal.message and refusal.hint and refusal.feature)


def refused(schema: dict[str, Any]) -> ConstraintUnsupported | None:
    try:
        writes(schema, "{}")
    except ConstraintUnsupported as refusal:
        return refusal
    return None
