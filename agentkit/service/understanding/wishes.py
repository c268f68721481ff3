"""What the encoder says of a message and of its clauses: which processes and questions it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from agentkit.intents import Prediction
from agentkit.service.understanding.phrases import asks, cover
from agentkit.service.understanding.reading import Frame, read
from agentkit.service.understanding.situation import Situation
from agentkit.service.understanding.values import cues_of
from agentkit.service.understanding.words import lowered, words_of

SURE: Final = 0.5
"""Probability of an intent from which it decides without the generator."""
CLEAR: Final = 0.8
"""Probability from which an intent outweighs what else a message may mean."""
CONCEIVABLE: Final = 0.2
"""Probability of an intent from which the generator is asked whether the words want its process."""
_MOST_CLAUSES: Final = 8
_STRONG: Final = re.compile(
    r"(?<=[.?!;\n])\s+|\n+|\.\.\.|,?\s+(?:and|plus)\s+(?=\S+\s+\S)|,\s*(?=(?:then|also|and)\b)|\s+(?=(?:then|also)\s)",
    re.IGNORECASE,
)
_UNWANTED: Final = re.compile(
    r"\b(?:don't|dont|do not|not|never|no longer)\s+(?:want|wish|like|need|mean|going)(?:ed)?\s+to\b|"
    r"^\W*(?:please\s+)?(?:don't|do not|dont)\b|\brather than\b|\binstead of\b"
)

Kind: TypeAlias = Literal["flow", "knowledge", "chat", "person", "other"]


@dataclass(frozen=True)
class Wish:
    """A piece of a message that wants something of its own, or that the encoder has no name for.

    Args:
        text: The piece.
        prediction: What the encoder makes of it.
        intent: The intent that it surely has; None: none.
        kind: What the intent leads to.
        flow: The flow that it starts; empty where it starts none.
        rivals: Flows that the words fit equally well.
    """

    text: str
    prediction: Prediction | None = None
    intent: str | None = None
    kind: Kind = "other"
    flow: str = ""
    rivals: tuple[str, ...] = ()

    @property
    def is_clear(self) -> bool:
        """Whether the encoder has no doubt."""
        return bool(self.intent) and self.prediction is not None and self.prediction.probability >= CLEAR


def wishes_in(situation: Situation, text: str) -> list[Wish]:
    """The wishes of a message, in order; one for all of it where its clauses want the same, or nothing of their own."""
    whole = wish(situation, text, situation.prediction)
    pieces = _clauses(text)
    if len(pieces) == 1 or situation.classify is None or situation.prediction is None:
        return [whole]
    predictions = situation.classify([piece for piece, _, _ in pieces])
    if _names_two_of_one(situation, whole):
        whole = Wish(text, whole.prediction)
    joined: list[tuple[Wish, int, int]] = []
    for (piece, start, end), prediction in zip(pieces, predictions, strict=True):
        each = _beside(situation, whole, wish(situation, piece, prediction))
        if joined and _belong_together(situation, joined[-1][0], each, whole):
            before, first, _ = joined[-1]
            joined[-1] = (before if before.intent or not each.intent else each, first, end)
        else:
            joined.append((each, start, end))
    if len(joined) == 1:
        return [whole if whole.intent or not joined[0][0].intent else _of(joined[0][0], text)]
    return [_of(each, text[start:end]) for each, start, end in joined]


def _names_two_of_one(situation: Situation, whole: Wish) -> bool:
    """Whether a message holds two values of a slot, neither of which is taken back: a sign of two wishes."""
    if whole.kind != "flow":
        return False
    frame = Frame(situation.today, situation.language)
    return bool(read(whole.text, situation.flows[whole.flow], frame).open)


def _beside(situation: Situation, whole: Wish, piece: Wish) -> Wish:
    """A clause of a message that surely wants one thing has to be as sure of another; a greeting hosts nothing."""
    if _is_a_mere_value(situation, piece):
        return Wish(piece.text)
    asking = piece.kind == "knowledge" and asks(piece.text)
    doubted = whole.is_clear and not piece.is_clear and not asking and piece.intent != whole.intent
    return Wish(piece.text, piece.prediction) if piece.kind == "chat" or doubted else piece


def wish(situation: Situation, text: str, prediction: Prediction | None) -> Wish:
    """What one piece wants, by its prediction."""
    if prediction is None or prediction.intent is None or _UNWANTED.search(lowered(text)):
        return Wish(text, prediction)
    intent = prediction.intent
    if prediction.ambiguous:
        flows = [flow for each in prediction.ambiguous if (flow := situation.starts(each))]
        if len(set(flows)) != 1:
            return Wish(text, prediction, rivals=tuple(dict.fromkeys(flows)))
    elif prediction.probability < SURE:
        return Wish(text, prediction)
    if flow := situation.starts(intent):
        return Wish(text, prediction, intent, "flow", flow)
    ways: dict[str, Kind] = {"knowledge": "knowledge", "answer": "chat", "hand_off": "person"}
    return Wish(text, prediction, intent, ways.get(situation.answered_by.get(intent, ""), "knowledge"))


def likely_flows(situation: Situation, prediction: Prediction | None) -> tuple[str, ...]:
    """All flows, those that the encoder thinks of first."""
    ranking = prediction.ranking if prediction is not None else ()
    ranked = [flow for intent, _ in ranking if (flow := situation.starts(intent))]
    return tuple(dict.fromkeys((*ranked, *situation.flows)))


def _is_a_mere_value(situation: Situation, piece: Wish) -> bool:
    """Whether a clause only names a value ("the booking is H-90112"), so that it belongs to its neighbour."""
    if piece.kind != "flow":
        return False
    frame = Frame(situation.today, situation.language)
    for flow in situation.flows.values():
        names = frozenset[str]().union(*(cues_of(slot) for slot in flow.slots.values()))
        places = read(piece.text, flow, frame).places
        said = cover(piece.text, places, names)
        if places and not said.left and not said.meanings:
            return True
    return False


def _belong_together(situation: Situation, one: Wish, two: Wish, whole: Wish) -> bool:
    """Whether two clauses, one after the other, are about the same."""
    if one.intent and two.intent:
        return one.intent == two.intent if one.kind == "flow" else one.kind == two.kind
    if not one.intent and not two.intent:
        return True
    host, other = (one, two) if one.intent else (two, one)
    if situation.is_open and (host is two or host.kind != "flow"):
        return False  # what has no wish of its own may answer what was asked
    if whole.is_clear or other.prediction is None:
        return True
    return not any(
        probability >= CONCEIVABLE and situation.starts(intent) not in ("", host.flow)
        for intent, probability in other.prediction.ranking
    )


def _of(one: Wish, text: str) -> Wish:
    return Wish(text.strip(" ,;"), one.prediction, one.intent, one.kind, one.flow, one.rivals)


def _clauses(text: str) -> Sequence[tuple[str, int, int]]:
    """Pieces of a text that could each be a wish, with their places; every one has a word."""
    pieces: list[tuple[str, int, int]] = []
    start = 0
    for match in _STRONG.finditer(text):
        if words_of(text[start : match.start()]):
            pieces.append((text[start : match.start()], start, match.start()))
            start = match.end()
    if words_of(text[start:]) or not pieces:
        pieces.append((text[start:], start, len(text)))
    if len(pieces) > _MOST_CLAUSES:
        first = pieces[: _MOST_CLAUSES - 1]
        rest = pieces[_MOST_CLAUSES - 1][1]
        pieces = [*first, (text[rest:], rest, len(text))]
    return pieces
