"""Finds examples of intents that work against each other, and says what to do about them.

Every example is judged by a head that was trained without it (the idea of confident learning, Northcutt et al. 2021):
one that a sure head puts elsewhere is probably mislabelled, and two intents between which many examples change sides
overlap.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.intents.calibration import fit_temperature
from agentkit.intents.examples import IntentExample, normalised
from agentkit.intents.head import log_softmax
from agentkit.intents.training import choose
from agentkit.intents.training_data import FOLDS, arrange

if TYPE_CHECKING:
    from agentkit.intents.head import Floats

_SURE: Final = 0.8  # probability of another intent from which a label is doubted
_ALIKE: Final = 0.97  # cosine from which two texts say the same
_OVERLAP: Final = 0.15  # share of an intent's examples that change sides
_FEW: Final = 10  # examples that an intent should have
_FEW_STRANGERS: Final = 20
_WEAK: Final = 0.8  # recall below which an intent needs more examples
_BLOCK: Final = 2048
_MOST: Final = 50  # findings of one kind that are kept


@dataclass(frozen=True)
class Doubted:
    """An example that a sure head gives to another intent."""

    text: str
    intent: str
    rather: str
    probability: float


@dataclass(frozen=True)
class Repeated:
    """Two examples that say the same; of different intents they contradict each other (None: out of scope)."""

    text: str
    other: str
    intent: str | None
    other_intent: str | None
    similarity: float


@dataclass(frozen=True)
class Overlapping:
    """Two intents of which `count` held-out examples were taken for the other one; some of their texts."""

    intent: str
    other: str
    count: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Wanting:
    """An intent that needs more examples: how many it has, how many are recognised, how many to add."""

    intent: str
    examples: int
    recall: float | None
    add: int


@dataclass(frozen=True)
class Checks:
    """What was found, and how many examples were looked at.

    Args:
        examples: Examples with an intent.
        out_of_scope: Examples without.
        mislabelled: Labels in doubt, the surest first.
        contradicting: The same said for two intents.
        repeated: The same said twice for one intent.
        overlapping: Intents that are hard to tell apart, the worst first.
        wanting: Intents that need examples, the neediest first.
    """

    examples: int
    out_of_scope: int
    mislabelled: tuple[Doubted, ...]
    contradicting: tuple[Repeated, ...]
    repeated: tuple[Repeated, ...]
    overlapping: tuple[Overlapping, ...]
    wanting: tuple[Wanting, ...]

    @property
    def found(self) -> bool:
        """Whether there is something that should be mended; mere repetitions need not."""
        return bool(self.mislabelled or self.contradicting or self.overlapping or self.wanting)

    def to_json(self) -> str:
        """Everything as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=True)

    def sections(self) -> list[tuple[str, list[str]]]:
        """Titles with lines for a person; kinds of which nothing was found are left out."""
        parts = [
            (
                "Probably mislabelled: move them, or make the wording clearer",
                [
                    f"“{d.text}” is in {d.intent}, rather {d.rather} ({d.probability:.2f})"
                    for d in self.mislabelled
                ],
            ),
            (
                "Said for two intents: keep each where it belongs",
                [
                    f"“{r.text}” ({r.intent or 'out of scope'}) and “{r.other}” ({r.other_intent or 'out of scope'})"
                    for r in self.contradicting
                ],
            ),
            (
                "Intents that overlap: merge them, or add examples that show the difference",
                [
                    f"{o.intent} and {o.other}: {o.count} change sides, such as {', '.join(f'“{t}”' for t in o.texts)}"
                    for o in self.overlapping
                ],
            ),
            ("Add examples", [_wish(w) for w in self.wanting]),
            (
                "Nearly the same twice: one of them teaches nothing",
                [f"“{r.text}” and “{r.other}” ({r.intent or 'out of scope'})" for r in self.repeated],
            ),
        ]
        if self.out_of_scope < _FEW_STRANGERS:
            note = f"{self.out_of_scope} messages are out of scope; {_FEW_STRANGERS} or more make the threshold surer"
            parts.append(("Out of scope", [note]))
        return [(title, lines) for title, lines in parts if lines]


def check_examples(examples: Sequence[IntentExample], vectors: Floats) -> Checks:
    """Judge every example by what was learned from the others.

    Args:
        examples: What users say.
        vectors: float32 [len(examples), d], their unit vectors.

    Raises:
        ConfigurationError: See `agentkit.intents.train`.
    """
    data = arrange(examples, vectors)
    chosen = choose(data, FOLDS)
    temperature = numpy.float32(fit_temperature(chosen.logits, chosen.targets))
    probability = numpy.exp(log_softmax(chosen.logits / temperature)) if chosen.logits.size else chosen.logits
    best = probability.argmax(axis=1)
    doubted: list[Doubted] = []
    sides: dict[tuple[int, int], list[str]] = {}
    for row, target, taken in zip(chosen.rows, chosen.targets, best, strict=True):
        if target == taken:
            continue
        sides.setdefault((min(target, taken), max(target, taken)), []).append(examples[row].text)
    for position, (row, target) in enumerate(zip(chosen.rows, chosen.targets, strict=True)):
        sure = float(probability[position, best[position]])
        if best[position] != target and sure >= _SURE:
            doubted.append(
                Doubted(examples[row].text, data.labels[target], data.labels[best[position]], round(sure, 3))
            )
    repeated = _repeated(examples, data.rows.vectors)
    counts = numpy.bincount(data.rows.targets, minlength=data.intents + 1)
    overlapping = [
        Overlapping(data.labels[one], data.labels[other], len(texts), tuple(texts[:3]))
        for (one, other), texts in sorted(sides.items(), key=lambda item: -len(item[1]))
        if len(texts) >= max(2.0, _OVERLAP * min(counts[one], counts[other]))
    ]
    right, asked = Counter(chosen.targets[best == chosen.targets].tolist()), Counter(chosen.targets.tolist())
    wanting = [
        Wanting(name, int(counts[number]), recall, _to_add(int(counts[number]), recall))
        for number, name in enumerate(data.labels)
        for recall in [right[number] / asked[number] if asked[number] else None]
        if _to_add(int(counts[number]), recall)
    ]
    return Checks(
        examples=int(data.in_scope.sum()),
        out_of_scope=int((~data.in_scope).sum()),
        mislabelled=tuple(sorted(doubted, key=lambda each: -each.probability)[:_MOST]),
        contradicting=tuple(each for each in repeated if each.intent != each.other_intent)[:_MOST],
        repeated=tuple(each for each in repeated if each.intent == each.other_intent)[:_MOST],
        overlapping=tuple(overlapping[:_MOST]),
        wanting=tuple(sorted(wanting, key=lambda each: -each.add)[:_MOST]),
    )


def _to_add(count: int, recall: float | None) -> int:
    """Examples to add: up to ten in all; half as many again where too few are recognised."""
    if count < _FEW:
        return _FEW - count
    return max(5, count // 2) if recall is not None and recall < _WEAK else 0


def _wish(each: Wanting) -> str:
    known = (
        "" if each.recall is None else f", of which {100 * each.recall:.0f} % are recognised from the others"
    )
    return f"{each.intent}: {each.add} more; it has {each.examples}{known}"


def _repeated(examples: Sequence[IntentExample], vectors: Floats) -> list[Repeated]:
    """Pairs of examples that say the same, each later one with the earlier one that is most similar."""
    keys = [normalised(each.text) for each in examples]
    first: dict[str, int] = {}
    found: list[Repeated] = []
    for at in range(0, len(examples), _BLOCK):
        similarity = vectors[at : at + _BLOCK] @ vectors[: at + _BLOCK].T  # [block, all before and in it]
        for row in range(len(similarity)):
            number = at + row
            before = similarity[row, :number]
            same = first.setdefault(keys[number], number)
            nearest = int(before.argmax()) if number else 0
            other = same if same != number else nearest
            if same != number or (number and before[nearest] >= _ALIKE):
                found.append(
                    Repeated(
                        examples[number].text,
                        examples[other].text,
                        examples[number].intent,
                        examples[other].intent,
                        round(float(before[other]), 3),
                    )
                )
    return found
