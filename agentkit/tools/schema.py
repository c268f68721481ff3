"""JSON Schema for tool arguments: pydantic's, rewritten so that models read it easily and engines enforce it.

What is changed, and why:

- references are inlined, because small models do not follow them; only a recursive model keeps its `$ref`;
- titles go (they repeat the names), objects are closed (`additionalProperties: false`), `oneOf` with a
  discriminator becomes `anyOf`;
- a Decimal is a JSON number (pydantic: number or string), because that is how models write amounts; it is
  read as the decimal digits written, not as a binary fraction;
- `time` is a wall-clock time without an offset, unlike RFC 3339's; a date has its pattern beside its format;
- keywords and formats that no constraint engine knows go (`uniqueItems`, `propertyNames`, `format: path`):
  validation still checks what they said.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_KNOWN_FORMATS: Final = frozenset(
    ("date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid")
)
_DROPPED_KEYS: Final = frozenset(("title", "discriminator", "uniqueItems", "propertyNames"))
# Keywords whose value is a map from names to schemas: a field called "title" is not the keyword.
_MAPS: Final = frozenset(("properties", "patternProperties"))
_DATE_PATTERN: Final = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
_TIME_PATTERN: Final = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"
_DATETIME_PATTERN: Final = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"


class _ArgumentSchema(GenerateJsonSchema):
    """pydantic's generator with the types of this module's header changed at the source."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        both = super().decimal_schema(schema)
        number: JsonSchemaValue = both["anyOf"][0]
        return number

    def encode_default(self, dft: Any) -> Any:
        return float(dft) if isinstance(dft, Decimal) else super().encode_default(dft)

    def union_schema(self, schema: core_schema.UnionSchema) -> JsonSchemaValue:
        # Choices without a JSON form are left out there, even if none remains.
        union = super().union_schema(schema)
        if union == {"anyOf": []}:
            return self.handle_invalid_for_json_schema(schema, "a union: none of its types has a JSON form")
        return union

    def date_schema(self, schema: core_schema.DateSchema) -> JsonSchemaValue:
        return {**super().date_schema(schema), "pattern": _DATE_PATTERN}

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        if schema.get("tz_constraint") == "aware":
            return super().time_schema(schema)
        return {"type": "string", "pattern": _TIME_PATTERN}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        if schema.get("tz_constraint") == "naive":
            return {"type": "string", "pattern": _DATETIME_PATTERN}
        return super().datetime_schema(schema)


def argument_schema(adapter: TypeAdapter[Any], prefix: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON Schema of one argument.

    Args:
        adapter: Of the argument's type.
        prefix: Put before the names of recursive definitions, so that those of two arguments do not collide.

    Returns:
        The schema, and the definitions that it refers to (empty unless a model is recursive).

    Raises:
        pydantic.PydanticUserError: The type has no JSON Schema.
    """
    raw = adapter.json_schema(schema_generator=_ArgumentSchema)
    definitions: dict[str, Any] = raw.pop("$defs", {})
    recursive = {name for name in definitions if name in _reachable(name, definitions)}
    rewrite = _Rewrite(definitions, recursive, prefix)
    return rewrite.schema(raw), {
        rewrite.renamed(n): rewrite.schema(definitions[n]) for n in sorted(recursive)
    }


def _reachable(start: str, definitions: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in _references(definitions[waiting.pop()]) - found:
            found.add(name)
            waiting.append(name)
    return found


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {_name(node["$ref"])} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(_references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_references(value) for value in node))
    return set()


def _name(reference: str) -> str:
    return reference.removeprefix("#/$defs/")


class _Rewrite:
    def __init__(self, definitions: Mapping[str, Any], recursive: set[str], prefix: str) -> None:
        self._definitions = definitions
        self._recursive = recursive
        self._prefix = prefix

    def renamed(self, name: str) -> str:
        return f"{self._prefix}_{name}"

    def schema(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """One schema, everything below it included."""
        if "$ref" in node:
            name = _name(node["$ref"])
            beside = {key: value for key, value in node.items() if key != "$ref"}
            if name in self._recursive:
                return {"$ref": f"#/$defs/{self.renamed(name)}", **self.schema(beside)}
            # What stands beside a reference (a field's own description, default) wins over the class's.
            return self.schema({**self._definitions[name], **beside})
        result: dict[str, Any] = {}
        for key, value in node.items():
            if key in _DROPPED_KEYS or (key == "format" and value not in _KNOWN_FORMATS):
                continue
            result["anyOf" if key == "oneOf" else key] = self._value(key, value)
        if "properties" in result:
            result["additionalProperties"] = False
        first = [key for key in ("type", "description") if key in result]
        return {key: result[key] for key in dict.fromkeys((*first, *result))}

    def _value(self, key: str, value: Any) -> Any:
        if key in _MAPS:
            return {name: self.schema(schema) for name, schema in value.items()}
        if key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            return [self.schema(schema) for schema in value]
        if key in ("items", "additionalProperties") and isinstance(value, dict):
            return self.schema(value)
        return value
