"""JSON Schemas in keywords that can be followed token by token: equivalent forms of those that cannot.

| written | becomes |
|---|---|
| `oneOf` | `anyOf`, each alternative with the negation of those that it overlaps with |
| `not`, `if`/`then`/`else` | what is left over, where keywords can say it (`schema_logic`) |
| `dependencies`, `dependentRequired`, `dependentSchemas` | without the property, or with what it asks for |
| `propertyNames` | `properties` or `patternProperties`, and nothing else |
| `unevaluatedProperties`, `unevaluatedItems` | `additionalProperties`, `items`, where nothing is joined |
| `minProperties: 1` | one of the properties is required |
| `exclusiveMinimum: true` of draft 4, `maxItems: 2.0` | today's numbers |
| `$ref` to any place of the document | `$ref` to `$defs`, so that no rewriting moves what it points at |

What has no such form stays as it is; `schema_support.enforceable` refuses it by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from agentkit.models.schema_logic import SchemaLogic
from agentkit.models.schema_references import referred

_MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_SCHEMAS: Final = frozenset(
    {"items", "additionalProperties", "additionalItems", "not", "if", "then", "else", "propertyNames"}
)
_JOINING: Final = frozenset(
    ("allOf", "anyOf", "oneOf", "not", "if", "$ref", "$dynamicRef", "$recursiveRef", "contains")
) | {"dependencies", "dependentSchemas"}
"""Keywords beside which `unevaluatedProperties` is not simply `additionalProperties`."""
_COUNTS: Final = frozenset(
    ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
)
_KEPT_REFERENCE: Final = re.compile(r"#(/(\$defs|definitions)/[^/%~]+)?")
_MOST_DEPENDENCIES: Final = 6
_MOST_NAMES: Final = 16
_MOST_COMBINATIONS: Final = 64
"""Alternatives of one `oneOf` after negations are multiplied out; more would make grammars of megabytes."""


def rewritten(schema: Any, logic: SchemaLogic) -> Any:
    """`schema` in keywords that can be followed, as far as there is such a form; the same values fit it.

    Args:
        schema: A document in which no `$ref` leads back to itself; what is no schema is returned as it is.
        logic: Answers about this document.
    """
    return _Rewriter(logic, schema).document()


class _Rewriter:
    def __init__(self, logic: SchemaLogic, root: Any) -> None:
        self._root = root
        self._logic = logic
        self._names: dict[str, str] = {}
        self._moved: dict[str, Any] = {}

    def document(self) -> Any:
        result = self._schema(self._root)
        if self._moved:
            result["$defs"] = {**result.get("$defs", {}), **self._moved}
        return result

    def _schema(self, schema: Any) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        result = {key: self._value(key, value) for key, value in schema.items()}
        for step in (
            _todays_numbers,
            _unevaluated,
            self._reference,
            self._property_names,
            self._dependencies,
            self._not,
            self._if,
            self._one_of,
            _at_least_one_property,
        ):
            step(result)
        return result

    def _value(self, key: str, value: Any) -> Any:
        if key in _MAPS and isinstance(value, Mapping):
            return {name: self._schema(child) for name, child in value.items()}
        if key == "dependencies" and isinstance(value, Mapping):
            return {name: self._schema(child) for name, child in value.items()}
        if key in _LISTS and isinstance(value, list):
            return [self._schema(child) for child in value]
        return self._schema(value) if key in _SCHEMAS else value

    def _reference(self, schema: dict[str, Any]) -> None:
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return
        own = self._root.get("$id", self._root.get("id"))
        if isinstance(own, str) and own.rstrip("#") and reference.startswith(own.rstrip("#")):
            rest = reference[len(own.rstrip("#")) :]
            reference = rest or "#" if rest[:1] in {"", "#"} else reference
        if (
            not _KEPT_REFERENCE.fullmatch(reference)
            and (target := referred(reference, self._root)) is not None
        ):
            if reference not in self._names:
                taken = self._root.get("$defs")
                name = f"referred{len(self._names)}"
                while isinstance(taken, Mapping) and name in taken:
                    name += "_"
                self._names[reference] = name
                self._moved[name] = self._schema(target)
            reference = f"#/$defs/{self._names[reference]}"
        schema["$ref"] = reference

    def _property_names(self, schema: dict[str, Any]) -> None:
        """Names are checked by what they lead to: a name that is not allowed leads nowhere."""
        wanted = schema.get("propertyNames")
        if not isinstance(wanted, Mapping) or "patternProperties" in schema:
            if wanted is True:
                del schema["propertyNames"]
            return
        further = schema.get("additionalProperties", True)
        listed = schema.get("properties", {})
        asked = {key: value for key, value in wanted.items() if key not in {"title", "description"}}
        if asked.get("type") == "string":
            del asked["type"]
        if not isinstance(listed, Mapping) or len(asked) > 1:
            return
        if listed and further is not True and not {"enum", "const"} & asked.keys():
            return  # a pattern would ask what `additionalProperties` asks of the listed ones, too
        allowed = {name: child if self._logic.fits(name, asked) else False for name, child in listed.items()}
        values = asked.get("enum", [asked.get("const")])
        if not asked:
            del schema["propertyNames"]
            return
        if "pattern" in asked:
            schema["patternProperties"] = {asked["pattern"]: further}
        elif ("enum" in asked or "const" in asked) and isinstance(values, list):
            allowed |= {name: further for name in values if isinstance(name, str) and name not in listed}
        elif isinstance(length := asked.get("minLength", asked.get("maxLength")), int):
            bounds = f"{length}," if "minLength" in asked else f"0,{length}"
            schema["patternProperties"] = {f"^(?s:.){{{bounds}}}$": further}
        else:
            return
        del schema["propertyNames"]
        schema |= {"properties": allowed, "additionalProperties": False}

    def _dependencies(self, schema: dict[str, Any]) -> None:
        for key in ("dependencies", "dependentRequired", "dependentSchemas"):
            asked = schema.get(key)
            if not isinstance(asked, Mapping) or len(asked) > _MOST_DEPENDENCIES:
                continue
            if not all(isinstance(child, list | Mapping | bool) for child in asked.values()):
                continue
            del schema[key]
            for name, child in asked.items():
                then = {"required": child} if isinstance(child, list) else child
                if name in self._logic.required([schema]) and self._logic.kinds([schema]) == {"object"}:
                    _join(schema, [then])
                elif child is False:
                    _join(schema, [{"properties": {name: False}}])
                elif child and child is not True:
                    absent = {"properties": {name: False}}
                    _join(schema, [absent, {"allOf": [{"required": [name]}, then]}])

    def _not(self, schema: dict[str, Any]) -> None:
        if "not" in schema:
            rest = {key: value for key, value in schema.items() if key != "not"}
            left = self._logic.negation(schema["not"], [rest])
            if left is not None:
                del schema["not"]
                _join(schema, [left])

    def _if(self, schema: dict[str, Any]) -> None:
        if "if" not in schema or schema.keys().isdisjoint(("then", "else")):
            for key in ("if", "then", "else"):  # alone, each says nothing
                schema.pop(key, None)
            return
        rest = {key: value for key, value in schema.items() if key not in {"if", "then", "else"}}
        condition = schema["if"]
        otherwise = self._logic.negation(condition, [rest])
        if otherwise is None:
            return
        then, other = schema.pop("then", True), schema.pop("else", True)
        del schema["if"]
        cases = [(condition, then), (otherwise, other)]
        possible = [case for case in cases if not any(part is False for part in case)]
        _join(schema, [{"allOf": list(case)} for case in possible])

    def _one_of(self, schema: dict[str, Any]) -> None:
        """Exactly one: each alternative, without what other alternatives allow as well."""
        if not isinstance(schema.get("oneOf"), list) or not schema["oneOf"]:
            return
        rest = {key: value for key, value in schema.items() if key != "oneOf"}
        written = [json.dumps(option, sort_keys=True, default=str) for option in schema["oneOf"]]
        options = [
            option
            for option, text in zip(schema["oneOf"], written, strict=True)
            if written.count(text) == 1 and not self._logic.unsatisfiable([rest, option])
        ]
        alternatives: list[Any] = []
        combinations = 0
        for option in options:
            parts, product = [option], 1
            for other in options:
                if other is option or self._logic.unsatisfiable([rest, option, other]):
                    continue
                left = self._logic.negation(other, [rest, option])
                if left is None:
                    return
                parts.append(left)
                product *= len(left["anyOf"]) if isinstance(left, dict) and "anyOf" in left else 1
            if not any(part is False for part in parts):
                alternatives.append(option if len(parts) == 1 else {"allOf": parts})
                combinations += product
        if combinations <= _MOST_COMBINATIONS or combinations == len(alternatives):
            del schema["oneOf"]
            _join(schema, alternatives)


def _join(schema: dict[str, Any], alternatives: list[Any]) -> None:
    """Also ask for one of `alternatives`."""
    if len(alternatives) == 1 or not alternatives:
        part = alternatives[0] if alternatives else False
    elif "anyOf" not in schema:
        schema["anyOf"] = alternatives
        return
    else:
        part = {"anyOf": alternatives}
    if part is not True:
        joined = schema.get("allOf", [])
        schema["allOf"] = [*(joined if isinstance(joined, list) else [joined]), part]


def _todays_numbers(schema: dict[str, Any]) -> None:
    for bound, strict in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(strict) is True and bound in schema:
            schema[strict] = schema.pop(bound)
        elif schema.get(strict) is False:
            del schema[strict]
    for key in _COUNTS & schema.keys():
        if isinstance(schema[key], float) and schema[key].is_integer():
            schema[key] = int(schema[key])


def _unevaluated(schema: dict[str, Any]) -> None:
    if not schema.keys().isdisjoint(_JOINING):
        return
    if "unevaluatedProperties" in schema:
        value = schema.pop("unevaluatedProperties")
        schema.setdefault("additionalProperties", value)
    if "unevaluatedItems" in schema and not isinstance(schema.get("items"), list):
        value = schema.pop("unevaluatedItems")
        schema.setdefault("items", value)


def _at_least_one_property(schema: dict[str, Any]) -> None:
    """llguidance counts properties only where all that are listed are required."""
    listed, required = schema.get("properties"), schema.get("required", [])
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if not isinstance(listed, Mapping) or not isinstance(required, list):
        return
    closed = schema.get("additionalProperties", True) is False and "patternProperties" not in schema
    if closed and _is_count(most) and most >= len(listed):
        del schema["maxProperties"]
    if _is_count(least) and least <= len(set(map(str, required))):
        del schema["minProperties"]
    elif _is_count(least) and least == 1 and closed and 0 < len(listed) <= _MOST_NAMES:
        del schema["minProperties"]
        _join(schema, [{"required": [name]} for name, child in listed.items() if child is not False])


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
