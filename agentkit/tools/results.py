"""What a tool returned, as JSON and as bounded text: nothing else and nothing endless gets through."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from types import NoneType
from typing import Any, Final
from uuid import UUID

from pydantic import AnyUrl, BaseModel, JsonValue, TypeAdapter

_MOST_DEPTH: Final = 50
_MOST_INTEGER_BITS: Final = 4096  # Python refuses to write integers of more than 4300 digits
# Neither can be stored or tokenised: NUL ends strings in C, a lone surrogate has no UTF-8 form.
_UNUSABLE: Final = re.compile("[\x00\ud800-\udfff]")
_AS_TEXT: Final = (UUID, PurePath, IPv4Address, IPv6Address, AnyUrl)
_DURATION: Final[TypeAdapter[timedelta]] = TypeAdapter(timedelta)


class NotJson(Exception):
    """A tool returned something that JSON cannot hold; the message names the type and the place.

    Args:
        problem: What was found.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.steps: list[str] = []
        """The way to the place, innermost step first: each container adds its own as the error passes."""

    def __str__(self) -> str:
        path = clean_text("".join(reversed(self.steps))).removeprefix(".")
        return f"{self.problem}, at `{path}`" if path else self.problem


@dataclass(frozen=True)
class ResultLimits:
    """Bounds of one call.

    Args:
        characters: Most characters of the result that are kept as text. A longer one is cut, says how much is
            missing, and has no `data`.
        seconds: Gives the call up earlier than the tool's own timeout; None: the tool's own timeout.
    """

    characters: int = 20_000
    seconds: float | None = None


def clean_text(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD."""
    return _UNUSABLE.sub("\ufffd", text)


def bounded_text(text: str, characters: int) -> str:
    """The text, cut to its first `characters` with a note of how many were left out."""
    if len(text) <= characters:
        return clean_text(text)
    return f"{clean_text(text[:characters])} … [{len(text) - characters} characters left out]"


def text_and_data(value: Any, limits: ResultLimits) -> tuple[str, JsonValue]:
    """A returned value as the text that the model reads and as JSON.

    A string is its own text and has no data. Anything else is compact JSON.

    Raises:
        NotJson: JSON cannot hold it.
    """
    if isinstance(value, str) and not isinstance(value, Enum):
        return bounded_text(value, limits.characters), None
    data = _json_value(value)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if len(text) > limits.characters:
        return bounded_text(text, limits.characters), None
    return text, data


def _json_value(value: Any, above: tuple[int, ...] = ()) -> JsonValue:
    """One value; `above` are the ids of the containers that it is in."""
    if isinstance(value, Enum):
        return _json_value(value.value, above)
    for kinds, convert in _SCALARS:
        if isinstance(value, kinds):
            return convert(value)
    if id(value) in above:
        raise NotJson(f"a {_kind(value)} that contains itself")
    if len(above) >= _MOST_DEPTH:
        raise NotJson(f"values nested more than {_MOST_DEPTH} deep")
    return _container(value, (*above, id(value)))


def _container(value: Any, above: tuple[int, ...]) -> JsonValue:
    if isinstance(value, BaseModel):
        # Python mode: in JSON mode pydantic would turn NaN into null without a word.
        return _json_value(value.model_dump(mode="python", warnings="error"), above)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return _object(value, above)
    if isinstance(value, (list, tuple)):
        return _array(value, above)
    if isinstance(value, Set):
        return _array(_ordered(value), above)
    if isinstance(value, Iterator):
        raise NotJson(f"a {_kind(value)}, which can be read only once; return a list")
    raise NotJson(f"a value of type {_kind(value)}")


def _object(values: Mapping[Any, Any], above: tuple[int, ...]) -> JsonValue:
    result: dict[str, JsonValue] = {}
    for key, value in values.items():
        name = _key(key)
        if name in result:
            raise NotJson(f"a {_kind(values)} in which two keys are written {name!r}")
        try:
            result[name] = _json_value(value, above)
        except NotJson as problem:
            problem.steps.append(f".{name}")
            raise
    return result


def _array(values: Sequence[Any], above: tuple[int, ...]) -> JsonValue:
    result: list[JsonValue] = []
    for value in values:
        try:
            result.append(_json_value(value, above))
        except NotJson as problem:
            problem.steps.append(f"[{len(result)}]")
            raise
    return result


def _ordered(values: Set[Any]) -> list[Any]:
    """A set in an order that is the same in every process; only strings or numbers have one."""
    for kinds in (str, (int, float, Decimal)):
        if all(isinstance(value, kinds) for value in values):
            return sorted(values)
    types = ", ".join(sorted({_kind(value) for value in values}))
    raise NotJson(f"a {_kind(values)} of {types}, which has no order; return a list")


def _key(key: Any) -> str:
    if isinstance(key, Enum):
        return _key(key.value)
    if isinstance(key, str):
        return clean_text(key)
    if isinstance(key, (int, date, UUID)) and not isinstance(key, bool):
        return str(key)
    raise NotJson(f"a dict with a key of type {_kind(key)}")


def _integer(value: int) -> JsonValue:
    if value.bit_length() > _MOST_INTEGER_BITS:
        raise NotJson(f"an integer of {value.bit_length()} bits")
    return int(value)


def _finite(value: float | Decimal) -> JsonValue:
    if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
        raise NotJson("a number that is not finite (NaN or infinity)")
    return str(value) if isinstance(value, Decimal) else float(value)


# The first line that fits counts: a bool is an int too. A Decimal is text, so that no digit is lost.
_SCALARS: Final[Sequence[tuple[tuple[type, ...], Callable[[Any], JsonValue]]]] = (
    ((str,), clean_text),
    ((NoneType, bool), lambda value: value),
    ((int,), _integer),
    ((float, Decimal), _finite),
    ((date, time), lambda value: value.isoformat()),
    ((timedelta,), lambda value: _DURATION.dump_python(value, mode="json")),
    (_AS_TEXT, lambda value: clean_text(str(value))),
)


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
