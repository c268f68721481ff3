"""When a reply should hold another call: only if it says something new that the user said.

Asked for one call, a small model goes on with invented ones (the factorial of 5, then of 10, of 20, …), and
its own probability of ending says nothing. What the user asked for does: every further call must bring a
value that stands in the user's words and in no earlier call, and where it repeats a tool, whatever it
changes must stand there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pydantic import JsonValue

from agentkit.messages import Message, ToolCall, User, text_of

_NOT_WORD: Final = re.compile(r"[^\w]+")
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", re.IGNORECASE)
"""Numbers, with or without a unit behind them; not the 2 of `CO2`."""
_EDGE: Final = re.compile(r"(?<=\d)(?=[^\W\d])|(?<=[^\W\d])(?=\d)")
"""Between a digit and a letter."""


def said_by_user(messages: Sequence[Message]) -> Callable[[Sequence[ToolCall]], bool]:
    """The rule for the last user message of a transcript, for `CallTools.further`."""
    said = next((text_of(m) for m in reversed(messages) if isinstance(m, User)), "")
    words, numbers = _words(said), _numbers(said)

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
