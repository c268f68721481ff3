"""Schemas that nobody means to write: refused with the place and the reason, or followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agentkit.errors import ConstraintUnsupported
from agentkit.messages import ToolSpec
from agentkit.models.constraints import TokenMatcher
from agentkit.models.protocols import CallTools, JsonSchema
from agentkit.models.schema_references import endless
from agentkit.tools import Tool, tool
from tests.models.schema_texts import CODEC, compiler, writes

COMPILER = compiler()
ENDLESS: dict[str, Any] = {
    "$defs": {
        "t": {"type": "object", "properties": {"next": {"$ref": "#/$defs/t"}}, "required": ["next"]},
    },
    "$ref": "#/$defs/t",
}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "string", "minLength": 5, "maxLength": 3}, "minLength (5) is greater than maxLength (3)", ""),
    ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum (5) is greater than maximum (3)", ""),
    ({"type": "number", "exclusiveMinimum": 3, "maximum": 3}, "exclusiveMinimum (3)", ""),
    ({"type": "array", "minItems": 5, "maxItems": 3}, "minItems (5) is greater than maxItems (3)", ""),
    ({"type": "string", "pattern": "^[0-9]{4}$", "maxLength": 3}, "[0-9]{4}", ""),
    ({"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 6}, "multiple of 7", ""),
    ({"type": "integer", "enum": ["a"]}, "incompatible types", ""),
    ({"patternProperties": {"^a": {}, "a$": {"type": "null"}}}, "not disjoint", "patternProperties"),
]


def of_tool(parameters: dict[str, Any]) -> TokenMatcher:
    sound = ToolSpec(name="sound", description="", parameters={"type": "object"})
    find = ToolSpec(name="find", description="", parameters=parameters)
    return COMPILER.matcher(CallTools(allow_text=False), [sound, find])


@pytest.mark.parametrize(("schema", "reason", "feature"), REFUSED, ids=lambda value: str(value)[:40])
def test_contradictions_are_refused_with_their_place_and_reason(
    schema: dict[str, Any], reason: str, feature: str
) -> None:
    items = {"type": "object", "properties": {"a b": schema}, "required": ["a b"]}
    inside = {"type": "array", "items": items, "minItems": 1}
    places: list[tuple[str, Callable[[], TokenMatcher]]] = [
        ("schema", lambda: COMPILER.matcher(JsonSchema(schema), ())),
        ("schema › items › properties › a b", lambda: COMPILER.matcher(JsonSchema(inside), ())),
        (
            "tool find › properties › inner › items › properties › a b",
            lambda: of_tool({"type": "object", "properties": {"inner": inside}, "required": ["inner"]}),
        ),
    ]
    for where, matcher in places:
        with pytest.raises(ConstraintUnsupported) as caught:
            matcher()
        assert caught.value.message.startswith(f"{where}: ")
        assert reason in caught.value.message
        assert "\n" not in caught.value.message
        assert caught.value.hint
        assert caught.value.feature == (feature or "unsatisfiable")


def test_an_alternative_that_contradicts_itself_is_left_out() -> None:
    schema = {"anyOf": [{"type": "integer", "minimum": 5, "maximum": 3}, {"type": "null"}]}
    assert writes(schema, "null")
    assert not writes(schema, "4")


def test_recursion_is_followed_where_it_can_end_and_refused_where_it_cannot() -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}}
    assert writes({**tree, "required": ["kids"]}, '{"kids": [{"kids": []}, {"kids": [{"kids": []}]}]}')
    for schema in (ENDLESS, {"type": "array", "minItems": 1, "items": {"$ref": "#"}}):
        with pytest.raises(ConstraintUnsupported, match=r"schema: .*without end") as caught:
            COMPILER.matcher(JsonSchema(schema), ())
        assert caught.value.feature == "$ref"


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (ENDLESS, "#/$defs/t"),
        ({**ENDLESS, "$ref": "#/$defs/none"}, None),
        ({"$defs": ENDLESS["$defs"], "anyOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]}, None),
        ({"$defs": ENDLESS["$defs"], "properties": {"a": {"$ref": "#/$defs/t"}}}, None),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, None),  # 3 is a value of it
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "#"),
        ({"allOf": [{"type": "array", "minItems": 2, "items": {"$ref": "#"}}]}, "#"),
    ],
)
def test_only_what_holds_itself_in_every_value_is_without_end(
    schema: dict[str, Any], found: str | None
) -> None:
    assert endless(schema) == found


def test_ten_thousand_values_and_names_by_pattern_are_followed() -> None:
    schema = {"enum": [f"value {number}" for number in range(10_000)]}
    assert writes(schema, '"value 9999"')
    assert not writes(schema, '"value 10000"')
    named = {"type": "object", "patternProperties": {"^x-": {"type": "null"}}, "additionalProperties": False}
    assert writes(named, '{"x-a": null, "x-b": null}')
    assert not writes(named, '{"a": null}')


class Tree(BaseModel):
    value: int
    kids: list[Tree] = []


class Chain(BaseModel):
    next: Chain


MANY = Literal[tuple(f"v{number}" for number in range(10_000))]  # type: ignore[valid-type]


def taking(annotation: Any) -> Tool:
    """A tool with one parameter, registered as users do it."""

    def look(x: object) -> str:
        """Look at it."""
        return str(x)

    look.__annotations__ = {"x": annotation, "return": str}
    return tool(effect="read")(look)


@pytest.mark.parametrize(
    ("annotation", "begun"),
    [
        (Tree, '{"value": 1, "kids": [{"value": 2, "kids": []}]}'),
        (MANY, '"v9999"'),
        (dict[str, int], '{"a": 1, "b": 2}'),
        (dict[Annotated[str, Field(pattern="^x-")], int], '{"x-a": 1}'),
    ],
    ids=["a tree", "ten thousand values", "any names", "names by pattern"],
)
def test_a_tool_with_a_parameter_of_this_kind_is_registered_and_can_be_called(
    annotation: Any, begun: str
) -> None:
    matcher = COMPILER.matcher(CallTools(allow_text=False), [taking(annotation).spec])
    text = '<tool_call>\n{"name": "look", "arguments": {"x": ' + begun + "}}\n</tool_call>"
    for token in CODEC.encode_markup(text):
        assert matcher.mask()[token]
        matcher.accept(token)
    assert matcher.complete


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (Chain, "tool look: .*without end"),
        (Annotated[int, Field(ge=5, le=3)], "tool look › properties › x: .*minimum"),
        (Annotated[str, Field(min_length=5, max_length=3)], "tool look › properties › x: .*minLength"),
        (Annotated[list[int], Field(min_length=5, max_length=3)], "tool look › properties › x: .*minItems"),
    ],
    ids=["a chain without end", "numbers", "lengths", "counts"],
)
def test_a_tool_that_nobody_can_call_is_named_with_the_parameter(annotation: Any, said: str) -> None:
    with pytest.raises(ConstraintUnsupported, match=said):
        COMPILER.matcher(CallTools(allow_text=False), [taking(annotation).spec])
