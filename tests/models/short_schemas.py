"""Random schemas whose shortest instance is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True)
class Short:
    """A schema and the length in bytes of its shortest instance, written with ", " and ": "."""

    schema: dict[str, Any]
    shortest: int


def _list(items: Short, least: int) -> Short:
    length = 2 + least * items.shortest + 2 * max(0, least - 1)
    return Short({"type": "array", "items": items.schema, "minItems": least}, length)


def _object(members: dict[str, Short], required: list[bool]) -> Short:
    names = [name for name, must in zip(members, required, strict=False) if must]
    inside = sum(len(json.dumps(name)) + 2 + members[name].shortest for name in names)
    schema = {
        "type": "object",
        "properties": {name: each.schema for name, each in members.items()},
        "required": names,
        "additionalProperties": False,
    }
    return Short(schema, 2 + inside + 2 * max(0, len(names) - 1))


def _either(first: Short, second: Short) -> Short:
    if all(each.schema.get("type", "string") == "string" for each in (first, second)):
        return first  # two kinds of string that share beginnings: the search may miss the shorter one
    return Short({"anyOf": [first.schema, second.schema]}, min(first.shortest, second.shortest))


# Names that begin differently: of those that begin alike, the search follows one.
_names = st.builds(str.__add__, st.sampled_from("abcd"), st.text("ab_ <", max_size=5))
_leaves: st.SearchStrategy[Short] = st.one_of(
    st.sampled_from(
        [
            Short({"type": "integer"}, 1),
            Short({"type": "number"}, 1),
            Short({"type": "boolean"}, 4),
            Short({"type": "null"}, 4),
            Short({"type": "string", "format": "date"}, 12),
        ]
    ),
    st.integers(0, 20_000).map(lambda least: Short({"type": "integer", "minimum": least}, len(str(least)))),
    st.integers(0, 12).map(lambda least: Short({"type": "string", "minLength": least}, least + 2)),
    st.integers(1, 8).map(lambda n: Short({"type": "string", "pattern": f"^[0-9]{{{n}}}$"}, n + 2)),
    # For the same reason, words begin differently.
    st.lists(st.text("abcé-", max_size=6), min_size=1, max_size=5, unique_by=lambda word: word[:1]).map(
        lambda words: Short(
            {"enum": words}, min(len(json.dumps(word, ensure_ascii=False).encode()) for word in words)
        )
    ),
)


def objects(values: st.SearchStrategy[Short]) -> st.SearchStrategy[Short]:
    """Objects with members of these kinds, some of them required."""
    pairs = st.tuples(_names, values)
    members = st.lists(pairs, min_size=1, max_size=4, unique_by=lambda pair: pair[0][0]).map(dict)
    return st.builds(_object, members, st.lists(st.booleans(), min_size=4, max_size=4))


short_schemas: st.SearchStrategy[Short] = st.recursive(
    st.one_of(_leaves, st.builds(_either, _leaves, _leaves)),
    lambda inner: st.one_of(objects(inner), st.builds(_list, inner, st.integers(0, 3))),
    max_leaves=4,
)
"""Schemas of any kind; no list or object is one of several alternatives, as the search compares those roughly."""
