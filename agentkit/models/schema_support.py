"""Which JSON Schemas can be enforced: everything else is refused by name, never silently ignored.

llguidance refuses the keywords of JSON Schema that it does not implement, but ignores keywords that it does
not know (a misspelt `maxLenght` as well as a note to the reader), obeys `x-guidance` (which can make it
lenient), and is loose where objects may repeat a key. So the schema is walked before it gets there: what
decides validity is kept or refused, annotations are dropped, and what looks like a misspelt keyword is
refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from agentkit.errors import ConstraintUnsupported
from agentkit.models.schema_logic import SchemaLogic
from agentkit.models.schema_references import circle, endless
from agentkit.models.schema_rewrite import rewritten
from agentkit.models.schema_strings import (
    FOLLOWED_FORMATS,
    NOTED_FORMATS,
    STRICT_FORMATS,
    portable_pattern,
)

_ENFORCED: Final = frozenset(
    (
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "minProperties",
        "maxProperties",
        "items",
        "prefixItems",
        "additionalItems",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "$defs",
        "definitions",
    )
)
_NOT_ENFORCED: Final = frozenset(
    (
        "not",
        "if",
        "then",
        "else",
        "contains",
        "minContains",
        "maxContains",
        "uniqueItems",
        "propertyNames",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
        "unevaluatedItems",
        "$dynamicRef",
        "$recursiveRef",
        "extends",
        "disallow",
        "divisibleBy",
    )
)
"""Keywords of some draft of JSON Schema that decide validity. All others are annotations (2020-12, section
6.5)."""
DECIDING: Final = _ENFORCED | _NOT_ENFORCED
"""All keywords that decide validity."""
_HARMLESS: Final[Mapping[str, Any]] = {"uniqueItems": False, "minContains": 0, "unevaluatedProperties": True}
"""Keywords that are not enforced but ask for nothing with this value."""
_MOST_ITEMS: Final = 50
"""Bound of a list in a call where the schema has none: longer ones are a model going round in circles."""
_SCHEMA_MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_SCHEMA_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SCHEMAS: Final = frozenset({"items", "additionalProperties", "additionalItems"})
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x07\x0b\x0e-\x1f\ud800-\udfff]")
_OLD_DRAFT: Final = re.compile(r"draft-0[34]/")


def enforceable(schema: Any, *, where: str = "schema") -> dict[str, Any]:
    """The part of `schema` that decides what is valid.

    Args:
        schema: A JSON Schema (2020-12; older drafts where they mean the same).
        where: What to call it in errors, for example `tool get_weather`.

    Raises:
        ConstraintUnsupported: A keyword or value that cannot be enforced, with its place.
    """
    if (reference := circle(schema)) is not None:
        raise _refused(where, f"`$ref: {reference}`, which leads back to itself,", "$ref")
    if (reference := endless(schema)) is not None:
        raise _refused(
            where, f"`$ref: {reference}`, where a value would hold another one without end,", "$ref"
        )
    logic = SchemaLogic(schema, DECIDING)
    try:
        result = _walk(rewritten(schema, logic), where, is_document=True)
    except RecursionError as error:
        raise _refused(where, "schemas inside schemas as deep as this", "nesting") from error
    if result is False:
        raise _refused(where, "`false`, which nothing satisfies", "false")
    return {} if result is True else result


def narrowed(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` for a small model that writes the arguments of a call: what it allows is still allowed by `schema`.

    An object that lists its properties gets no further ones (`additionalProperties: false`), because a model
    should not invent any. A list without a bound gets one, because a model that repeats itself would write until
    its tokens are used up. Objects that are joined with others (`allOf`, or `$ref` with siblings) stay open:
    closing one would refuse the other's properties.
    """
    result: dict[str, Any] = _narrow(schema, defs_too=not _joins(schema))
    return result


def _joins(schema: Any) -> bool:
    """Whether any object schema is joined with others, which may be definitions."""
    if isinstance(schema, list):
        return any(_joins(child) for child in schema)
    if not isinstance(schema, dict):
        return False
    here = "allOf" in schema or (
        "properties" in schema and not schema.keys().isdisjoint(("$ref", "anyOf", "oneOf"))
    )
    return here or any(_joins(child) for child in schema.values())


def _walk(schema: Any, where: str, *, is_document: bool = False) -> Any:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, Mapping):
        raise _refused(where, f"{json.dumps(schema, default=str)[:60]}, which is no schema", "no schema")
    if _OLD_DRAFT.search(str(schema.get("$schema", ""))) and "exclusiveM" in json.dumps(schema):
        raise _refused(where, "`exclusiveMinimum`/`exclusiveMaximum` of draft 4", "exclusiveMinimum")
    if not is_document and isinstance(schema.get("$id"), str) and '"$ref"' in json.dumps(schema):
        raise _refused(where, "a document of its own (`$id`) with a `$ref` inside", "$id")
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _ENFORCED:
            kept[key] = _value(key, value, where)
        elif key in _NOT_ENFORCED and (key not in _HARMLESS or value != _HARMLESS[key]):
            raise _refused(where, f"the keyword `{key}`", key)
        elif (
            key not in _NOT_ENFORCED
            and key[:1].isalpha()
            and (meant := get_close_matches(key, _ENFORCED, n=1, cutoff=0.85))
        ):
            raise _refused(where, f"the keyword `{key}` (did you mean `{meant[0]}`?)", key)
    _check_objects(kept, where)
    _string_forms(kept, where)
    return kept


def _value(key: str, value: Any, where: str) -> Any:
    here = f"{where} › {key}"
    if key in _SCHEMA_MAPS and isinstance(value, Mapping):
        _check_characters(list(value), here)
        return {name: _walk(child, f"{here} › {name}") for name, child in value.items()}
    if key in _SCHEMA_LISTS and isinstance(value, list):
        return [_walk(child, f"{here} › {index}") for index, child in enumerate(value)]
    if key in _SCHEMAS:
        if isinstance(value, list):  # draft 7 `items` as a tuple means `prefixItems` of today
            return [_walk(child, f"{here} › {index}") for index, child in enumerate(value)]
        return _walk(value, here)
    if key == "required" and not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        wanted = "it has to be a list of names"
        raise _refused(where, f"`required: {json.dumps(value, default=str)[:40]}` ({wanted})", "required")
    if key in {"enum", "const"}:
        _check_characters(value, here)
    if key in {"exclusiveMinimum", "exclusiveMaximum"} and isinstance(value, bool):
        raise _refused(where, f"`{key}: {json.dumps(value)}` of draft 4 (write the number itself)", key)
    if key == "multipleOf" and not (isinstance(value, int | float) and value > 0):
        raise _refused(where, f"`multipleOf: {json.dumps(value, default=str)[:40]}`", key)
    return value


def _check_characters(value: Any, where: str) -> None:
    # Strings are written without \\uXXXX escapes, so that no lone surrogate can come out; these need one.
    if isinstance(value, str) and _CONTROL_CHARACTER.search(value):
        raise _refused(where, "a control character or lone surrogate", "control character")
    for child in (
        value.items() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    ):
        _check_characters(child, where)


def _check_objects(schema: dict[str, Any], where: str) -> None:
    # llguidance does not keep keys outside `properties` from being repeated; a repeated key counts once
    # when read.
    least = schema.get("minProperties", 0)
    open_ended = schema.get("additionalProperties", True) is not False or "patternProperties" in schema
    if isinstance(least, int) and least > max(1, len(schema.get("required", ()))) and open_ended:
        what = f"`minProperties: {least}` where keys are not all listed in `properties`"
        raise _refused(where, what, "minProperties")


def _string_forms(schema: dict[str, Any], where: str) -> None:
    """Patterns and formats as llguidance has to read them."""
    if isinstance(schema.get("pattern"), str):
        schema["pattern"] = portable_pattern(schema["pattern"])
    if isinstance(schema.get("patternProperties"), Mapping):
        patterns = schema["patternProperties"]
        schema["patternProperties"] = {portable_pattern(key): child for key, child in patterns.items()}
    name = schema.get("format")
    if name is None:
        return
    kinds = schema.get("type", "string")
    if "string" not in (kinds if isinstance(kinds, list) else [kinds]):
        del schema["format"]  # formats speak of strings only
        return
    if not isinstance(name, str) or name not in FOLLOWED_FORMATS | NOTED_FORMATS:
        raise _refused(where, f"`format: {json.dumps(name, default=str)[:40]}`", f"format {name}")
    if name in NOTED_FORMATS or name in STRICT_FORMATS:
        del schema["format"]
    if name in STRICT_FORMATS:
        joined = schema.get("allOf", [])
        if "pattern" not in schema:
            schema["pattern"] = STRICT_FORMATS[name]
        elif isinstance(joined, list):
            schema["allOf"] = [*joined, {"pattern": STRICT_FORMATS[name]}]


def _narrow(schema: Any, *, defs_too: bool) -> Any:
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    alternatives = {"prefixItems"} if "properties" in schema else {"prefixItems", "anyOf", "oneOf"}
    for key, value in schema.items():
        if key in {"$defs", "definitions"} and not defs_too:
            result[key] = value
        elif key in _SCHEMA_MAPS:
            result[key] = {name: _narrow(child, defs_too=defs_too) for name, child in value.items()}
        elif key in alternatives or (key in _SCHEMAS and isinstance(value, list)):
            result[key] = [_narrow(child, defs_too=defs_too) for child in value]
        elif key in _SCHEMAS:
            result[key] = _narrow(value, defs_too=defs_too)
        else:
            result[key] = value
    is_list = schema.get("type") == "array" or "items" in schema
    if is_list and "maxItems" not in schema and "prefixItems" not in schema:
        result["maxItems"] = max(_MOST_ITEMS, int(schema.get("minItems", 0)))
    joined = {"allOf", "anyOf", "oneOf", "$ref", "patternProperties"} & schema.keys()
    if "properties" in schema and "additionalProperties" not in schema and not joined:
        result["additionalProperties"] = False
    return result


def _refused(where: str, what: str, feature: str) -> ConstraintUnsupported:
    return ConstraintUnsupported(
        f"{where}: {what} cannot be enforced while the model writes",
        feature=feature,
        hint="Leave it out of the schema and check it afterwards, or write it in other keywords.",
    )
