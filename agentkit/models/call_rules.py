"""Rules for small models that call too readily: what a call says has to come from what the user said.

Asked for one call, a small model goes on with invented ones (the factorial of 5, then of 10, of 20, …), and its
own probability of ending says nothing. Asked something that no tool answers, it fills one in with made-up values.
The user's words decide both:

- a further call must bring a value that stands in the user's words and in no earlier call, and where it repeats
  a tool, whatever it changes must stand there (`says_something_new`);
- a call is about the question if one of its free values stands there (`is_about`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pydantic import JsonValue

from agentkit.messages import Message, ToolCall, User, text_of

CALL_THRESHOLD: Final = 0.6
"""A reply that may be text or calls is calls if the model would begin a call with at least this probability.
Measured with the 0.5B model on rows of the Berkeley Function Calling Leaderboard: 98 % of the questions for a tool
lie above it, and half of those that no tool answers below it."""

_NOT_WORD: Final = re.compile(r"[^\w]+")
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", re.IGNORECASE)
"""Numbers, with or without a unit behind them; not the 2 of `CO2`."""
_EDGE: Final = re.compile(r"(?<=\d)(?=[^\W\d])|(?<=[^\W\d])(?=\d)")
"""Between a digit and a letter."""


def says_something_new(messages: Sequence[Message]) -> Callable[[Sequence[ToolCall]], bool]:
    """The rule for the last user message of a transcript, for `CallTools.further`."""
    words, numbers = _said(messages)

    def further(calls: Sequence[ToolCall]) -> bool:
        *earlier, call = calls
        values = dict(_leaves(call.arguments))
        known = [dict(_leaves(other.arguments)) for other in earlier]
        used = " ".join(_plain(value) for other in known for value in other.values())
        said_values = {place for place, value in values.items() if _is_said(value, words, numbers)}
        if not any(_plain(values[place]) not in used for place in said_values):
            return False
        same = [other for other, made in zip(known, earlier, strict=True) if made.name == call.name]
        changed = {p for p, v in values.items() if same and all(p not in o or o[p] != v for o in same)}
        return changed <= said_values

    return further


def is_about(messages: Sequence[Message], call: ToolCall, parameters: dict[str, Any]) -> bool:
    """Whether `call` uses anything of the last user message.

    Only free values are looked at, not those that the schema lists or that are true or false; a call that has
    none is about anything.

    Args:
        messages: The transcript.
        call: The call.
        parameters: JSON Schema of the tool's arguments.
    """
    words, numbers = _said(messages)
    listed = {_plain(value) for value in _listed(parameters)}
    free = [
        value for _, value in _leaves(call.arguments) if not isinstance(value, bool) and value is not None
    ]
    free = [value for value in free if _plain(value) not in listed]
    return not free or any(_is_said(value, words, numbers) for value in free)


def _said(messages: Sequence[Message]) -> tuple[str, set[float]]:
    said = next((text_of(m) for m in reversed(messages) if isinstance(m, User)), "")
    return _words(said), _numbers(said)


def _listed(schema: Any) -> Iterator[JsonValue]:
    """Every value that `enum` or `const` name anywhere in a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("enum"), list):
            yield from schema["enum"]
        if "const" in schema:
            yield schema["const"]
        for child in schema.values():
            yield from _listed(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from _listed(child)


def _leaves(value: JsonValue, place: str = "") -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, f"{place}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _leaves(child, f"{place}.{index}")
    else:
        yield place, value


def _is_said(value: JsonValue, words: str, numbers: set[float]) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int | float):
        return float(value) in numbers or -float(value) in numbers or round(float(value) * 100, 9) in numbers
    text = _words(str(value))
    return bool(text.strip()) and text in words


def _plain(value: JsonValue) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return _words(str(int(value)) if whole and isinstance(value, float) else str(value))


def _words(text: str) -> str:
    """Lower case, words and numbers apart, everything else as single spaces, one space at both ends."""
    return f" {_NOT_WORD.sub(' ', _EDGE.sub(' ', text.casefold())).strip()} "


def _numbers(text: str) -> set[float]:
    found: set[float] = set()
    for match in _NUMBER.findall(text):
        for form in (match.replace(",", ""), match.replace(",", ".")):
            if form.count(".") <= 1:
                found.add(float(form))
    return found
