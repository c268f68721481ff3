"""Says in the words of a file's author what pydantic found wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from agentkit.yaml_files.reader import Location

_MAX_VALUE_SHOWN: Final = 60

_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a group of settings",
    "model_type": "a group of settings",
    "none_required": "nothing",
}


def describe_error(detail: ErrorDetails, model: type[BaseModel], at: Location) -> tuple[str, str]:
    """Message and hint for one error of pydantic, in the words of the file's author."""
    kind, value = detail["type"], detail["input"]
    if kind == "missing":
        return "is required", f"add `{at[-1] if at else ''}:` with its value"
    if kind == "extra_forbidden":
        names = sorted({name for owner in _models_at(model, at[:-1]) for name in _field_names(owner)})
        close = get_close_matches(str(at[-1]), names, n=1)
        known = f"known are: {', '.join(names)}"
        return "there is no such setting", f"did you mean `{close[0]}`? {known}" if close else known
    if kind in _EXPECTED:
        message = f"should be {_EXPECTED[kind]}, found {describe_value(value)}"
        quote = kind == "string_type" and isinstance(value, bool | int | float)
        return message, "write it in quotes to make it a text" if quote else ""
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    shown = (
        "" if isinstance(value, list | dict) or kind == "value_error" else f", found {describe_value(value)}"
    )
    return message[:1].lower() + message[1:] + shown, ""


def _field_names(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield info.alias or name


def _models_at(model: type[BaseModel], at: Location) -> list[type[BaseModel]]:
    """The models that can describe the mapping at `at` (several where a field is a union)."""
    found: list[Any] = [model]
    for step in at:
        inside: list[Any] = []
        for annotation in found:
            inside += _inside(annotation, step)
        found = inside
    return [owner for annotation in found for owner in _members(annotation) if _is_model(owner)]


def _inside(annotation: Any, step: str | int) -> list[Any]:
    """The annotations of what lies below `step` in a value of `annotation`."""
    inside: list[Any] = []
    for member in _members(annotation):
        if _is_model(member):
            inside += [
                info.annotation for name, info in member.model_fields.items() if step in (name, info.alias)
            ]
        elif arguments := get_args(member):
            inside += arguments[1:] if isinstance(step, str) else arguments
    return inside


def _members(annotation: Any) -> list[Any]:
    """The members of a union or of an annotated type, the annotation itself otherwise."""
    if hasattr(annotation, "__metadata__"):
        return _members(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return [inner for member in get_args(annotation) for inner in _members(member)]
    return [annotation]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def describe_value(value: object) -> str:
    """A value as an author would name it: `a number (5)`, `a list`, `nothing`."""
    if value is None:
        return "nothing"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (str, "a text"),
        (list, "a list"),
        (dict, "a group of settings"),
    )
    kind = next((name for type_, name in kinds if isinstance(value, type_)), type(value).__name__)
    if isinstance(value, list | dict):
        return kind
    shown = json.dumps(value, ensure_ascii=False)
    return f"{kind} ({shown if len(shown) <= _MAX_VALUE_SHOWN else shown[:_MAX_VALUE_SHOWN] + '…'})"
