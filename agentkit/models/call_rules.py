"""Rules for small models that call too readily: what a call says has to come from what the user said.

Asked for one call, a small model goes on with invented ones (the factorial of 5, then of 10, of 20, …), and its
own probability of ending says nothing. Asked something that no tool answers, it fills one in with made-up values.
The user's words decide both:

- a further call must bring a value that stands in the user's words and in no earlier call, and where it repeats
  a tool, whatever it changes must stand there (`says_something_new`);
- a call is about the question if one of its free values stands there (`is_about`);
- an optional argument whose free values nobody said is left out, so that the tool's default holds
  (`without_inventions`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pydantic import JsonValue

from agentkit.messages import Assistant, Message, ToolCall, User, text_of
from agentkit.models.schema_check import violations

CALL_THRESHOLD: Final = 0.6
"""A reply that may be text or calls is calls if the model would begin a call with at least this probability.
Measured with the 0.5B model on rows of the Berkeley Function Calling Leaderboard: 98 % of the questions for a tool
lie above it, and half of those that no tool answers below it."""

_NOT_WORD: Final = re.compile(r"[^\w]+")
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", re.IGNORECASE)
"""Numbers, with or without a unit behind them; not the 2 of `CO2`."""
_NUMBER_WORDS: Final = {
    **dict.fromkeys(("one", "once", "first"), 1),
    **dict.fromkeys(("two", "twice", "second"), 2),
    **dict.fromkeys(("three", "third"), 3),
    **dict.fromkeys(("four", "fourth"), 4),
    **dict.fromkeys(("five", "fifth"), 5),
    **dict.fromkeys(("six", "sixth"), 6),
    **dict.fromkeys(("seven", "seventh"), 7),
    **dict.fromkeys(("eight", "eighth"), 8),
    **dict.fromkeys(("nine", "ninth"), 9),
    **dict.fromkeys(("ten", "tenth"), 10),
    **{"zero": 0, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "hundred": 100},
}
"""English; in other languages numbers in words count as not said."""
_STEM: Final = 4
"""Letters that two forms of a word share."""
_EDGE: Final = re.compile(r"(?<=\d)(?=[^\W\d])|(?<=[^\W\d])(?=\d)")
"""Between a digit and a letter."""


def says_something_new(messages: Sequence[Message]) -> Callable[[Sequence[ToolCall]], bool]:
    """The rule for the last user message of a transcript, for `CallTools.further`."""

    def further(calls: Sequence[ToolCall]) -> bool:
        words, numbers = _said(messages)
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


def without_inventions(messages: Sequence[Message], call: ToolCall, parameters: dict[str, Any]) -> ToolCall:
    """`call` without the optional arguments that nobody spoke of.

    Values that the schema lists, and true and false, are choices rather than inventions and stay. Of a text it is
    enough that one word begins like a word that was said.

    Args:
        messages: The transcript; what the user, the author and tools said counts.
        call: The call.
        parameters: JSON Schema of the tool's arguments.
    """
    told = "\n".join(text_of(message) for message in messages if not isinstance(message, Assistant))
    words, numbers = _words(told), _numbers(told)
    listed = {_plain(value) for value in _listed(parameters)}
    required = parameters.get("required", ())

    def invented(value: JsonValue) -> bool:
        free = [leaf for _, leaf in _leaves(value) if not isinstance(leaf, bool) and leaf is not None]
        free = [leaf for leaf in free if _plain(leaf) not in listed]
        return bool(free) and not any(
            _is_said(leaf, words, numbers) or _is_alluded(leaf, words) for leaf in free
        )

    kept = {name: v for name, v in call.arguments.items() if name in required or not invented(v)}
    if len(kept) == len(call.arguments) or any(violations(kept, parameters)):
        return call
    return call.model_copy(update={"arguments": kept})


def _said(messages: Sequence[Message]) -> tuple[str, set[float]]:
    """Words and numbers of the last user message."""
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


def _is_alluded(value: JsonValue, words: str) -> bool:
    """Whether a word of a text begins like a word that was said (`opening` and `opened`)."""
    stems = (word[:_STEM] for word in _plain(value).split() if len(word) > 2)
    return isinstance(value, str) and any(f" {stem}" in words for stem in stems)


def _plain(value: JsonValue) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return _words(str(int(value)) if whole and isinstance(value, float) else str(value))


def _words(text: str) -> str:
    """Lower case, words and numbers apart, everything else as single spaces, one space at both ends."""
    return f" {_NOT_WORD.sub(' ', _EDGE.sub(' ', text.casefold())).strip()} "


def _numbers(text: str) -> set[float]:
    found = {float(_NUMBER_WORDS[word]) for word in _words(text).split() if word in _NUMBER_WORDS}
    for match in _NUMBER.findall(text):
        for form in (match.replace(",", ""), match.replace(",", ".")):
            if form.count(".") <= 1:
                found.add(float(form))
    return found
