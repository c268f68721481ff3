"""Arguments of a call as people type them: name=value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from agentkit.errors import ConfigurationError
from agentkit.tools import Tool


def arguments_of(typed: Iterable[str], name: str, tools: Sequence[Tool]) -> dict[str, JsonValue]:
    """The arguments of a call, each typed as name=value.

    Text where the tool wants text: the order 1042 is no number. Else what JSON makes of it, or else text.

    Args:
        typed: What was typed.
        name: The tool that is called.
        tools: The tools that there are; where it is none of them, nothing is known of its arguments.

    Raises:
        ConfigurationError: There is no `=`.
    """
    tool = next((each for each in tools if each.name == name), None)
    schemas = tool.spec.parameters.get("properties", {}) if tool is not None else {}
    found: dict[str, JsonValue] = {}
    for text in typed:
        argument, separator, value = text.partition("=")
        if not separator:
            raise ConfigurationError(
                f"{text!r} is no argument.", hint="Write name=value, for example order_id=1042."
            )
        schema = schemas.get(argument, {})
        kinds = {each.get("type") for each in schema.get("anyOf", [schema])}
        is_text = kinds == {"string"} or (kinds == {"string", "null"} and value != "null")
        found[argument] = value if is_text else _read(value)
    return found


def _read(value: str) -> JsonValue:
    try:
        read: JsonValue = json.loads(value)
    except ValueError:
        return value
    return read
