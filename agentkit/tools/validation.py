"""Arguments as a model wrote them, checked strictly; the messages tell the model what to write instead."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from agentkit.errors import ToolRetry
from agentkit.tools.definition import Tool
from agentkit.tools.parameters import Parameter

_logger: Final = logging.getLogger("agentkit.tools")
_MOST_PROBLEMS: Final = 3  # a message of one or two lines; the rest shows at the next attempt
_MOST_ECHO: Final = 60
_FORMATS: Final = {
    "date": "a date (YYYY-MM-DD, for example 2026-11-26)",
    "date-time": "a date and time with offset (for example 2026-11-26T09:30:00Z)",
    "duration": "an ISO 8601 duration (for example PT1H30M)",
    "email": "an e-mail address",
}
# What a validator written by the tool's author may raise; pydantic itself turns ValueError into a problem.
_AUTHOR_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
)


def validate_arguments(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Check the arguments of a call against the tool's signature.

    Strict, as JSON: "5" and 5.0 are no integers, a date is an ISO string, and an argument or field that does
    not exist is refused. Arguments that are left out keep the default of the function.

    Args:
        tool: The tool.
        arguments: JSON object as the model wrote it.

    Returns:
        The values to call the function with, in the order of its parameters.

    Raises:
        ToolRetry: They do not fit; the message names each argument, its problem and what is expected.
    """
    names = [parameter.name for parameter in tool.parameters]
    problems = [_unknown(name, names) for name in arguments if name not in names]
    values: dict[str, Any] = {}
    for parameter in tool.parameters:
        if parameter.name in arguments:
            try:
                values[parameter.name] = _validated(parameter, arguments[parameter.name])
            except ToolRetry as problem:
                problems.append(str(problem))
        elif parameter.required:
            about = parameter.schema.get("description")
            expected = _expected(parameter.schema) + (f" ({about.rstrip('.')})" if about else "")
            problems.append(f"`{parameter.name}` is missing, expected {expected}")
    if problems:
        raise ToolRetry(f"wrong arguments for {tool.name}: {_joined(problems)}")
    return values


def _joined(problems: Sequence[str]) -> str:
    more = len(problems) - _MOST_PROBLEMS
    return "; ".join(problems[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _unknown(name: str, names: Sequence[str]) -> str:
    if near := difflib.get_close_matches(name, names, 1):
        advice = f"did you mean `{near[0]}`?"
    elif names:
        advice = f"the arguments are: {', '.join(names)}"
    else:
        advice = "it takes no arguments"
    return f"there is no argument `{_short(name)}`, {advice}"


def _validated(parameter: Parameter, value: Any) -> Any:
    try:
        text = json.dumps(value, allow_nan=False)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ToolRetry(f"`{parameter.name}` holds characters that are not valid Unicode") from None
    except RecursionError:
        raise ToolRetry(f"`{parameter.name}` is nested too deeply") from None
    except (TypeError, ValueError):
        raise ToolRetry(f"`{parameter.name}` is not JSON: numbers must be finite") from None
    try:
        return parameter.adapter.validate_json(text, strict=True, extra="forbid")
    except ValidationError as problem:
        errors = problem.errors(include_url=False, include_context=False)
        raise ToolRetry(_explained(parameter, value, errors)) from None
    except _AUTHOR_ERRORS:
        _logger.exception("a validator of the parameter `%s` raised", parameter.name)
        raise ToolRetry(f"`{parameter.name}` could not be checked, try another value") from None


def _explained(parameter: Parameter, value: Any, errors: Sequence[ErrorDetails]) -> str:
    places = [_place(value, error["loc"]) for error in errors]
    if all(not place for place, _ in places) and _is_about_type(errors):
        return f"`{parameter.name}`: expected {_expected(parameter.schema)}, got {_echo(value)}"
    said = [
        f"`{parameter.name}{place}`: {_message(error, got)}"
        for error, (place, got) in zip(errors, places, strict=True)
    ]
    return _joined(list(dict.fromkeys(said)))


def _is_about_type(errors: Sequence[ErrorDetails]) -> bool:
    """Whether the schema says better than the message what is expected, as for the branches of a union."""
    return len(errors) > 1 or errors[0]["type"].endswith(
        ("_type", "_parsing", "_mismatch", "enum", "literal_error")
    )


def _place(value: Any, loc: Sequence[str | int]) -> tuple[str, str]:
    """The path of an error inside an argument, and the value found there.

    pydantic's location also holds names of union branches; only the steps that lead through the value count.
    """
    path = ""
    for position, step in enumerate(loc):
        is_last = position == len(loc) - 1
        if isinstance(value, list) and isinstance(step, int) and step < len(value):
            path, value = f"{path}[{step}]", value[step]
        elif isinstance(value, dict) and step in value:
            path, value = f"{path}.{_short(str(step))}", value[step]
        elif isinstance(value, dict) and is_last:
            return f"{path}.{step}", ""
    return path, _echo(value)


def _message(error: ErrorDetails, got: str) -> str:
    match error["type"]:
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return "is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "does not exist, leave it out"
    message = error["msg"].removeprefix("Value error, ")
    for start in ("Input should", "String should", "List should", "Decimal input should"):
        message = message.replace(start, "should", 1)
    return f"{message}, got {got}"


def _expected(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_expected(option) for option in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        options = schema["enum"] if "enum" in schema else [schema["const"]]
        listed = ", ".join(json.dumps(option, ensure_ascii=False) for option in options)
        return f"one of {listed}" if len(options) > 1 else listed
    kind = schema.get("type", "")
    if kind == "string":
        return _expected_string(schema)
    if kind in ("array", "object"):
        return _expected_container(schema)
    words = {"integer": "an integer", "number": "a number", "boolean": "true or false", "null": "null"}
    return words.get(kind, "a JSON value") + _range(schema)


def _expected_container(schema: Mapping[str, Any]) -> str:
    if items := schema.get("items"):
        return f"a list, each item {_expected(items)}"
    if fields := schema.get("properties"):
        return f"an object with the fields {', '.join(fields)}"
    return "a list" if schema["type"] == "array" else "an object"


def _expected_string(schema: Mapping[str, Any]) -> str:
    if name := schema.get("format"):
        return _FORMATS.get(name, f"a string that is a valid {name}")
    if pattern := schema.get("pattern"):
        return f"a string that matches {pattern}"
    return "a string"


def _range(schema: Mapping[str, Any]) -> str:
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
    }
    bounds = [text.format(schema[key]) for key, text in words.items() if key in schema]
    return f" of {' and '.join(bounds)}" if bounds else ""


def _echo(value: Any) -> str:
    kind = "the string " if isinstance(value, str) else ""
    return kind + _short(json.dumps(value, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_ECHO else f"{text[:_MOST_ECHO]}…"
