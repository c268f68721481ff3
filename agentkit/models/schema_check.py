"""Does a value fit a JSON Schema? Checked by looking at the value, independently of the engine that wrote it.

Covers the keywords that `schema_support.enforceable` lets through; a pattern is searched with Python's
`re`, and `format` is taken as an annotation (as JSON Schema 2020-12 does).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}


def violations(value: Any, schema: Any, *, root: Any = None, where: str = "value") -> Iterator[str]:
    """Every way in which `value` does not fit `schema`, as sentences that name the place.

    Args:
        value: A JSON value.
        schema: A JSON Schema.
        root: The document that `$ref` refers to; by default `schema` itself.
        where: What to call the value.
    """
    if schema is True:
        return
    if schema is False:
        yield f"{where} is not allowed"
        return
    root = schema if root is None else root
    yield from _combined(value, schema, root, where)
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind] if kind is not None else []
    if kinds and not any(_is_kind(value, k) for k in kinds):
        yield f"{where} is no {' or '.join(kinds)}: {_show(value)}"
        return
    if "enum" in schema and not any(_equal(value, allowed) for allowed in schema["enum"]):
        yield f"{where} is none of {_show(schema['enum'])}: {_show(value)}"
    if "const" in schema and not _equal(value, schema["const"]):
        yield f"{where} is not {_show(schema['const'])}: {_show(value)}"
    if isinstance(value, str):
        yield from _string(value, schema, where)
    elif isinstance(value, dict):
        yield from _object(value, schema, root, where)
    elif isinstance(value, list):
        yield from _array(value, schema, root, where)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema, where)


def _combined(value: Any, schema: Mapping[str, Any], root: Any, where: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from violations(value, _referred(schema["$ref"], root), root=root, where=where)
    for child in schema.get("allOf", ()):
        yield from violations(value, child, root=root, where=where)
    for key, most in (("anyOf", None), ("oneOf", 1)):
        if key in schema:
            fitting = sum(not any(violations(value, c, root=root, where=where)) for c in schema[key])
            if fitting == 0 or (most is not None and fitting > most):
                yield f"{where} fits {fitting} of the alternatives in {key}: {_show(value)}"


def _referred(reference: str, root: Any) -> Any:
    target = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            name = step.replace("~1", "/").replace("~0", "~")
            target = target[int(name)] if isinstance(target, list) else target[name]
    return target


def _string(value: str, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{where} has {len(value)} characters"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where} does not match {schema['pattern']}: {_show(value)}"


def _number(value: float, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    inside = (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    )
    if not inside:
        yield f"{where} is out of range: {value}"
    step = schema.get("multipleOf")
    if step and abs(value / step - round(value / step)) > 1e-9:
        yield f"{where} is no multiple of {step}: {value}"


def _object(value: dict[str, Any], schema: Mapping[str, Any], root: Any, where: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where} lacks {name}"
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        yield f"{where} has {len(value)} properties"
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, child in value.items():
        here = f"{where}.{name}"
        schemas = [properties[name]] if name in properties else []
        schemas += [s for pattern, s in patterns.items() if re.search(pattern, name)]
        for each in schemas or [schema.get("additionalProperties", True)]:
            yield from violations(child, each, root=root, where=here)


def _array(value: list[Any], schema: Mapping[str, Any], root: Any, where: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{where} has {len(value)} items"
    items = schema.get("items", True)
    first = items if isinstance(items, list) else schema.get("prefixItems", [])
    rest = schema.get("additionalItems", True) if isinstance(items, list) else items
    for index, child in enumerate(value):
        each = first[index] if index < len(first) else rest
        yield from violations(child, each, root=root, where=f"{where}[{index}]")


def _is_kind(value: Any, kind: str) -> bool:
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS.get(kind, ())) and (kind == "boolean" or not isinstance(value, bool))


def _equal(left: Any, right: Any) -> bool:
    """Equal as JSON Schema means it: 1 is 1.0, but not true."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:80]
