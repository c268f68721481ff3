"""The answer to "which of these do you mean?": by its place, by its words, or by what the encoder makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentkit.memory.words import stem
from agentkit.service.sketch import FlowSketch
from agentkit.service.understanding.phrases import cover
from agentkit.service.understanding.situation import Situation
from agentkit.service.understanding.words import words_of

_ORDINALS: Final = (("first", "1", "1st", "former"), ("second", "2", "2nd"), ("third", "3", "3rd"))
_COUNTS: Final = (("one",), ("two",), ("three",))
_LAST: Final = ("last", "latter")
_AHEAD: Final = 2.0


def chosen_flow(situation: Situation, text: str) -> str:
    """The flow that a message picks among those that were offered; empty where it picks none."""
    waiting = situation.awaiting
    if waiting is None or waiting.expected != "which_flow":
        return ""
    options = [situation.flows[each] for each in waiting.options if each in situation.flows]
    return _by_place(options, text) or _by_words(options, text) or _by_intent(situation, options)


def _by_place(options: Sequence[FlowSketch], text: str) -> str:
    said = [word.text for word in words_of(text)]
    places: set[int] = set()
    for forms in (_ORDINALS, _COUNTS):  # "the second one"
        names = [*forms[: len(options)], _LAST]
        places = places or {index for index, known in enumerate(names) if any(word in known for word in said)}
    known_words = frozenset(word for forms in (*_ORDINALS, *_COUNTS, _LAST) for word in forms)
    others = cover(text, subject=known_words).left
    if len(places) != 1 or others or not options:
        return ""
    return options[min(places.pop(), len(options) - 1)].name


def _by_words(options: Sequence[FlowSketch], text: str) -> str:
    """The one that shares the most words with the message, its name counting twice."""
    said = {stem(word.text) for word in words_of(text)}
    shared = [
        2 * len(said & {stem(word) for word in each.name.split("_")})
        + len(said & {stem(word.text) for word in words_of(each.description)})
        for each in options
    ]
    most = max(shared, default=0)
    return options[shared.index(most)].name if most >= 2 and shared.count(most) == 1 else ""


def _by_intent(situation: Situation, options: Sequence[FlowSketch]) -> str:
    ranking = situation.prediction.ranking if situation.prediction is not None else ()
    odds = {each.name: sum(p for intent, p in ranking if intent in each.intents) for each in options}
    ordered = sorted(odds, key=lambda name: -odds[name])
    if not ordered or situation.prediction is None or situation.prediction.intent is None:
        return ""
    ahead = len(ordered) == 1 or odds[ordered[0]] >= _AHEAD * odds[ordered[1]]
    return ordered[0] if ahead and odds[ordered[0]] > 0 else ""
