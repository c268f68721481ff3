"""Schemas of somebody else's tools: what they refer to is followed, and what they do not say is not made up."""

from __future__ import annotations

from typing import Any

import pytest

from agentkit.errors import ToolRetry
from agentkit.remote.foreign_tool import foreign_tool
from agentkit.tools import Tool, validate_arguments


def made(argument: dict[str, Any], **document: Any) -> Tool:
    schema = {"type": "object", "properties": {"word": argument, "other": {"type": "string"}}, **document}
    return foreign_tool(
        name="look_up",
        description="Look something up.",
        schema=schema,
        function=lambda: None,
        effect="read",
        origin="test",
    )


@pytest.mark.parametrize(
    ("argument", "definitions"),
    [
        ({"$ref": "#/properties/other"}, {}),
        ({"$ref": "#/$defs/nowhere"}, {}),
        ({"type": "string", "allOf": [{"$ref": "#/$defs/nowhere"}]}, {}),
        ({"$ref": "#/$defs/self"}, {"self": {"$ref": "#/$defs/self"}}),
        ({"$ref": "#/$defs/one"}, {"one": {"$ref": "#/$defs/two"}, "two": {"$ref": "#/$defs/one"}}),
    ],
)
def test_a_reference_that_leads_nowhere_or_in_a_circle_leaves_its_argument_open(
    argument: dict[str, Any], definitions: dict[str, Any]
) -> None:
    tool = made(argument, **({"$defs": definitions} if definitions else {}))
    assert "$ref" not in str(tool.spec.parameters)
    assert validate_arguments(tool, {"word": "oak", "other": "ash"}) == {"word": "oak", "other": "ash"}


def test_a_reference_to_a_definition_is_held_to_also_inside_of_itself() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "additionalProperties": False}
    tool = made({"$ref": "#/$defs/node"}, **{"$defs": {"node": node}})
    assert validate_arguments(tool, {"word": {"next": {"next": {}}}})["word"] == {"next": {"next": {}}}
    with pytest.raises(ToolRetry):
        validate_arguments(tool, {"word": {"next": {"last": 1}}})
