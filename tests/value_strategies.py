"""Hypothesis strategies for frozen values, made from their fields so that a new field is covered."""

from __future__ import annotations

import types
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import JsonValue

from agentkit.messages import Value

# What JSON can carry: no lone surrogates (not UTF-8), no NaN and no infinity.
texts: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers: Final = st.floats(allow_nan=False, allow_infinity=False)
json_values: Final[st.SearchStrategy[JsonValue]] = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
_LEAVES: Final[dict[Any, st.SearchStrategy[Any]]] = {
    str: texts,
    float: numbers,
    int: st.integers(min_value=0, max_value=2**31),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    JsonValue: json_values,
    dict[str, JsonValue]: st.dictionaries(texts, json_values, max_size=3),
}


def values_of(cls: type[Value]) -> st.SearchStrategy[Any]:
    """Values of `cls` with every field drawn."""
    return st.builds(cls, **{name: _strategy(field.annotation) for name, field in cls.model_fields.items()})


def _strategy(annotation: Any) -> st.SearchStrategy[Any]:
    if annotation in _LEAVES:
        return _LEAVES[annotation]
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is Annotated:
        return _strategy(arguments[0])
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_strategy, arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(_strategy(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_strategy, arguments))
    if isinstance(annotation, type) and issubclass(annotation, Value):
        return values_of(annotation)
    raise TypeError(f"no strategy for {annotation!r}: add one to {__name__}")
