"""Two questions about JSON Schemas: can anything satisfy all of these, and what satisfies everything but this?

Both are answered by looking at keywords, and only where the answer is certain: `unsatisfiable` says True only if
nothing fits, and `negation` gives None where keywords cannot say what is left over. `schema_rewrite` builds
on them the forms of `oneOf`, `not` and `if` that can be followed while a model writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agentkit.models.schema_check import violations
from agentkit.models.schema_references import referred

_KINDS: Final = frozenset({"null", "boolean", "object", "array", "string", "integer", "fraction"})
"""The types of JSON Schema, with `number` divided into integers and all other numbers."""
_MOST_STEPS: Final = 1000
"""Schemas looked at for one question."""
_MOST_STEPS_IN_ALL: Final = 10_000
"""For all questions about one document: about a second at most, however it is made."""
_DEEPEST: Final = 8
_LONGEST_WORDS: Final = 2000
"""Characters of all the strings that a pattern of "any other string" leaves out."""
_MALFORMED: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    re.error,
)
"""What looking at a value may raise where the schema is none; the walk that follows refuses it by name."""
_BOUNDS: Final = (
    ("minimum", "maximum", {"integer", "fraction"}),
    ("minLength", "maxLength", {"string"}),
    ("minItems", "maxItems", {"array"}),
    ("minProperties", "maxProperties", {"object"}),
)
_OPPOSITES: Final[Mapping[str, tuple[str, str, int]]] = {
    "minimum": ("number", "exclusiveMaximum", 0),
    "maximum": ("number", "exclusiveMinimum", 0),
    "exclusiveMinimum": ("number", "maximum", 0),
    "exclusiveMaximum": ("number", "minimum", 0),
    "minLength": ("string", "maxLength", -1),
    "maxLength": ("string", "minLength", 1),
    "minItems": ("array", "maxItems", -1),
    "maxItems": ("array", "minItems", 1),
    "minProperties": ("object", "maxProperties", -1),
    "maxProperties": ("object", "minProperties", 1),
}
"""What a value fits that does not fit a bound: its type, the other bound, and how far away that is."""


class SchemaLogic:
    """Answers about the schemas of one document.

    Args:
        root: The document that `$ref` refers to.
        deciding: The keywords that decide validity; all others are annotations.
    """

    def __init__(self, root: Any, deciding: frozenset[str]) -> None:
        self._root = root
        self._deciding = deciding
        self._steps = 0
        self._steps_in_all = 0

    def unsatisfiable(self, schemas: Sequence[Any], depth: int = 0) -> bool:
        """Whether it is certain that no value fits all of `schemas`.

        Args:
            schemas: Schemas that hold at the same place.
            depth: How many properties and alternatives the question is inside of.
        """
        if not self._may_look_on(depth):
            return False
        parts = list(self._conjuncts(schemas))
        self._steps += len(parts)
        self._steps_in_all += len(parts)
        if any(part is False for part in parts):
            return True
        maps = [part for part in parts if isinstance(part, Mapping)]
        kinds = self.kinds(maps)
        if not kinds or self.finite(maps) == []:
            return True
        if any(kinds <= of and _contradict(maps, low, high) for low, high, of in _BOUNDS):
            return True
        if kinds == {"object"} and self._properties_contradict(maps, depth):
            return True
        for part in maps:
            for key in ("anyOf", "oneOf"):
                others = [{k: v for k, v in each.items() if each is not part or k != key} for each in maps]
                options = part.get(key)
                if isinstance(options, list) and all(
                    self.unsatisfiable([*others, option], depth + 1) for option in options
                ):
                    return True
        return False

    def _may_look_on(self, depth: int) -> bool:
        self._steps = 1 if depth == 0 else self._steps + 1
        self._steps_in_all += 1
        return depth <= _DEEPEST and self._steps <= _MOST_STEPS and self._steps_in_all <= _MOST_STEPS_IN_ALL

    def kinds(self, schemas: Sequence[Any]) -> frozenset[str]:
        """The types that a value may have that fits all of `schemas`, with `fraction` for numbers that are
        no integers."""
        result = _KINDS
        for part in self._conjuncts(schemas):
            if isinstance(part, Mapping) and "type" in part:
                result &= _kinds_of(part["type"])
        return result

    def finite(self, schemas: Sequence[Any]) -> list[Any] | None:
        """All values that may fit `schemas`, if one of them lists its values; None if there is no list."""
        parts = [part for part in self._conjuncts(schemas) if isinstance(part, Mapping)]
        for part in parts:
            if isinstance(part.get("enum"), list) or "const" in part:
                values = [part["const"]] if "const" in part else part["enum"]
                return [value for value in values if all(self.fits(value, each) for each in parts)]
        return None

    def fits(self, value: Any, schema: Any) -> bool:
        """Whether `value` fits `schema`, as far as can be told: what is doubtful fits."""
        try:
            return not any(violations(value, schema, root=self._root))
        except _MALFORMED:
            return True

    def negation(self, schema: Any, context: Sequence[Any], depth: int = 0) -> Any:
        """A schema for what fits `context` but not `schema`: it need not repeat what `context` says.

        Args:
            schema: What must not fit.
            context: Schemas that hold at the same place; they often leave only a few values to tell apart.
            depth: How many schemas the question is inside of.

        Returns:
            A schema (False: nothing is left), or None if keywords cannot say it.
        """
        if not self._may_look_on(depth):
            return None
        if isinstance(schema, bool):
            return not schema
        if not isinstance(schema, Mapping):
            return None
        values = self.finite(context)
        if values is not None:
            left = [value for value in values if not self.fits(value, schema)]
            return {"enum": left} if left else False
        options: list[Any] = []
        for key in schema:
            if key in {"$defs", "definitions"} or key not in self._deciding:
                continue
            found = self._negations(key, schema, context, depth)
            if found is None:
                return None
            options += [option for option in found if option is not False]
        if not options:
            return False
        return options[0] if len(options) == 1 else {"anyOf": options}

    def _negations(
        self, key: str, schema: Mapping[str, Any], context: Sequence[Any], depth: int
    ) -> list[Any] | None:
        """The alternatives in which one keyword is not fulfilled."""
        value = schema[key]
        if key in {"additionalProperties", "additionalItems", "items"} and value in (True, {}):
            return []
        if key == "type":
            return _types(self.kinds(context) - _kinds_of(value))
        if key in {"enum", "const"}:
            return _other_values([value] if key == "const" else value, self.kinds(context))
        if key == "required" and isinstance(value, list):
            needed = self.required(context)
            return [{"type": "object", "properties": {n: False}} for n in value if n not in needed]
        if key == "properties" and isinstance(value, Mapping):
            return self._negated_properties(value, context, depth)
        if key in _OPPOSITES and _is_number(value):
            kind, other, step = _OPPOSITES[key]
            return [{"type": kind, other: value + step}] if value + step >= 0 or kind == "number" else []
        if key in {"allOf", "anyOf"} and isinstance(value, list):
            each = [self.negation(child, context, depth + 1) for child in value]
            if any(negated is None for negated in each):
                return None
            return each if key == "allOf" else [False] if False in each else [{"allOf": each}]
        if key == "not":
            return [value]
        target = referred(value, self._root) if key == "$ref" else None
        negated = None if target is None else self.negation(target, context, depth + 1)
        return None if negated is None else [negated]

    def _negated_properties(
        self, properties: Mapping[str, Any], context: Sequence[Any], depth: int
    ) -> list[Any] | None:
        result: list[Any] = []
        for name, child in properties.items():
            known = [part["properties"][name] for part in self._with_property(context, name)]
            negated = self.negation(child, known, depth + 1)
            if negated is None:
                return None
            if negated is not False:
                result.append({"type": "object", "required": [name], "properties": {name: negated}})
        return result

    def required(self, schemas: Sequence[Any]) -> set[str]:
        """Names of properties that an object has for certain if it fits `schemas`; of other types nothing is
        said."""
        result: set[str] = set()
        for part in self._conjuncts(schemas):
            names = part.get("required") if isinstance(part, Mapping) else None
            if isinstance(names, list):
                result.update(name for name in names if isinstance(name, str))
        return result

    def _properties_contradict(self, maps: Sequence[Mapping[str, Any]], depth: int) -> bool:
        for name in sorted(self.required(maps)):
            here = [part["properties"][name] for part in self._with_property(maps, name)]
            for part in maps:
                further = part.get("additionalProperties", True)
                listed = part.get("properties", {})
                if isinstance(listed, Mapping) and name not in listed and "patternProperties" not in part:
                    here.append(further)
            if self.unsatisfiable(here, depth + 1):
                return True
        return False

    def _with_property(self, schemas: Sequence[Any], name: str) -> list[Mapping[str, Any]]:
        return [
            part
            for part in self._conjuncts(schemas)
            if isinstance(part, Mapping)
            and isinstance(part.get("properties"), Mapping)
            and name in part["properties"]
        ]

    def _conjuncts(self, schemas: Sequence[Any]) -> Iterator[Any]:
        """All schemas that hold where `schemas` hold: those that they join or refer to as well."""
        waiting, seen = list(schemas), set[str]()
        while waiting:
            part = waiting.pop(0)
            yield part
            if not isinstance(part, Mapping):
                continue
            joined = part.get("allOf")
            waiting += joined if isinstance(joined, list) else []
            reference = part.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                target = referred(reference, self._root)
                waiting += [] if target is None else [target]


def _kinds_of(declared: Any) -> frozenset[str]:
    names = declared if isinstance(declared, list) else [declared]
    result: set[str] = set()
    for name in names:
        if not isinstance(name, str) or name not in _KINDS | {"number"}:
            return _KINDS  # refused later, by name
        result |= {"integer", "fraction"} if name == "number" else {name}
    return frozenset(result)


def _types(kinds: frozenset[str] | set[str]) -> list[Any] | None:
    """The schema for exactly these types, as a list of at most one; None if keywords cannot say it."""
    if not kinds:
        return []
    if "fraction" in kinds and "integer" not in kinds:
        return None
    names = {"number" if kind == "fraction" else kind for kind in kinds}
    return [{"type": sorted(names - {"integer"} if "number" in names else names)}]


def _other_values(values: Any, kinds: frozenset[str]) -> list[Any] | None:
    """Everything of `kinds` but `values`."""
    if not isinstance(values, list):
        return None
    left = set(kinds)
    result: list[Any] = []
    words = [value for value in values if isinstance(value, str)]
    for value in values:
        if value is None:
            left.discard("null")
        elif isinstance(value, bool):
            if "boolean" in left:
                left.discard("boolean")
                rest = [other for other in (True, False) if not any(other is each for each in values)]
                result += [{"enum": rest}] if rest else []
        elif not isinstance(value, str):
            return None
    if words and "string" in left:
        if sum(map(len, words)) > _LONGEST_WORDS or max(map(len, words)) > _LONGEST_WORDS // 10:
            return None
        left.discard("string")
        result.append({"type": "string", "pattern": f"^{_other_endings(set(words))}$"})
    others = _types(left)
    return None if others is None else [*others, *result]


def _other_endings(words: set[str]) -> str:
    """A regular expression for every text that is none of `words`: at each character either the text leaves all
    words, or it goes on with some of them."""
    beginnings = sorted({word[0] for word in words if word})
    options = [] if "" in words else [""]
    if beginnings:
        options.append(f"[^{''.join(map(re.escape, beginnings))}](?s:.)*")
    else:
        options.append("(?s:.)+")
    for first in beginnings:
        rest = {word[1:] for word in words if word[:1] == first}
        options.append(re.escape(first) + _other_endings(rest))
    return f"(?:{'|'.join(options)})"


def _contradict(schemas: Sequence[Mapping[str, Any]], low: str, high: str) -> bool:
    least = [part[low] for part in schemas if _is_number(part.get(low))]
    most = [part[high] for part in schemas if _is_number(part.get(high))]
    return bool(least and most) and max(least) > min(most)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
