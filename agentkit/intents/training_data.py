"""Examples as arrays, checked, with the folds in which each is held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import ConfigurationError
from agentkit.intents.examples import IntentExample, check_labels
from agentkit.intents.lexical import Lexicon, fit_lexicon

if TYPE_CHECKING:
    from agentkit.intents.head import Booleans, Floats, Integers

FOLDS: Final = 5
"""Parts that the examples are split into."""

# Rounds of cross-validation by examples times classes: large data are measured well enough by fewer of the folds.
_ROUNDS: Final = ((20_000, 5), (300_000, 3), (float("inf"), 2))
_ENOUGH_FOR_A_CLASS: Final = 5  # out-of-scope examples that become a class of the head
_SEED: Final = 0
_NEVER_HELD_OUT: Final = -1


@dataclass(frozen=True, eq=False)
class Rows:
    """Messages as arrays; out of scope is class number `intents`, behind the real ones.

    Args:
        vectors: float32 [n, d], unit vectors of the encoder.
        lexical: float32 [n, w], unit vectors of the n-grams.
        targets: Class of each, [n].
    """

    vectors: Floats
    lexical: Floats
    targets: Integers

    def read(self, lexical_weight: float) -> Floats:
        """What a head with this weight of the lexical block reads, as `Features.read` gives it."""
        if lexical_weight == 0:
            return self.vectors
        return numpy.hstack([self.vectors, self.lexical * numpy.float32(lexical_weight)])


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a head is trained on and measured with.

    Args:
        rows: The examples.
        labels: Names of the intents.
        lexicon: Rarity of n-grams in the examples.
        folds: The round in which each example is held out, [n].
        rounds: How many of the folds are held out.
        has_none: Whether out of scope is a class of the head.
        validation: Messages that are kept apart; None: folds of the examples are held out instead.
    """

    rows: Rows
    labels: tuple[str, ...]
    lexicon: Lexicon
    folds: Integers
    rounds: int
    has_none: bool
    validation: Rows | None = None

    @property
    def intents(self) -> int:
        """How many intents there are."""
        return len(self.labels)

    @property
    def classes(self) -> int:
        """How many classes the head has."""
        return self.intents + int(self.has_none)

    @property
    def in_scope(self) -> Booleans:
        """Which examples have an intent, [n]."""
        return self.rows.targets < self.intents

    @property
    def trainable(self) -> Booleans:
        """Which examples the head learns from, [n]."""
        return self.rows.targets < self.classes

    @property
    def is_large(self) -> bool:
        """Whether every further training run takes seconds."""
        return self.rounds < _ROUNDS[1][1]


def arrange(
    examples: Sequence[IntentExample],
    vectors: Floats,
    validation: tuple[Sequence[IntentExample], Floats] | None = None,
) -> TrainingData:
    """The examples as arrays.

    Args:
        examples: What users say.
        vectors: float32 [len(examples), d], their unit vectors.
        validation: Messages kept apart, with theirs.

    Raises:
        ConfigurationError: See `agentkit.intents.train`.
    """
    check_labels(examples)
    labels = tuple(dict.fromkeys(each.intent for each in examples if each.intent is not None))
    if not labels:
        raise ConfigurationError(
            "there are no examples of an intent to learn from", hint="give each intent ten or more examples"
        )
    lexicon = fit_lexicon([each.text for each in examples])
    rows = _rows(examples, vectors, labels, lexicon)
    strangers = int((rows.targets == len(labels)).sum())
    if len(labels) == 1 and strangers == 0:
        raise ConfigurationError(
            f"`{labels[0]}` is the only intent and nothing is out of scope: there is nothing to tell it from",
            hint="add a second intent, or examples of messages that are out of scope",
        )
    size = len(examples) * (len(labels) + 1)
    return TrainingData(
        rows=rows,
        labels=labels,
        lexicon=lexicon,
        folds=_assign_folds(rows.targets),
        rounds=next(rounds for most, rounds in _ROUNDS if size <= most),
        has_none=strangers >= _ENOUGH_FOR_A_CLASS,
        validation=_validation(validation, labels, lexicon),
    )


def hash_of(examples: Sequence[IntentExample]) -> str:
    """SHA-256 of the examples in their order, hexadecimal."""
    rows = [[example.text, example.intent] for example in examples]
    return hashlib.sha256(json.dumps(rows, ensure_ascii=True).encode()).hexdigest()


def split_off(
    examples: Sequence[IntentExample], share: float = 0.15
) -> tuple[list[IntentExample], list[IntentExample]]:
    """Split examples into those to learn from and those to validate with; an only example is learned from."""
    random = numpy.random.default_rng(_SEED)
    groups: dict[str | None, list[int]] = {}
    for index, example in enumerate(examples):
        groups.setdefault(example.intent, []).append(index)
    held: set[int] = set()
    for members in groups.values():
        if len(members) > 1:
            count = max(1, round(share * len(members)))
            held.update(int(index) for index in random.permutation(members)[:count])
    kept = [example for index, example in enumerate(examples) if index not in held]
    return kept, [examples[index] for index in sorted(held)]


def _validation(
    given: tuple[Sequence[IntentExample], Floats] | None, labels: tuple[str, ...], lexicon: Lexicon
) -> Rows | None:
    if given is None:
        return None
    examples, vectors = given
    unknown = next((each.intent for each in examples if each.intent not in (None, *labels)), None)
    if unknown is not None:
        raise ConfigurationError(
            f"the validation messages have the intent `{unknown}`, of which there is no example to learn from",
            hint="add examples of it, or remove it from the validation messages",
        )
    if sum(each.intent is not None for each in examples) < 2:
        raise ConfigurationError(
            "the validation messages hold fewer than two with an intent",
            hint="add some, or leave them out: then folds of the examples are held out",
        )
    return _rows(examples, vectors, labels, lexicon)


def _rows(
    examples: Sequence[IntentExample], vectors: Floats, labels: tuple[str, ...], lexicon: Lexicon
) -> Rows:
    if vectors.ndim != 2 or len(vectors) != len(examples):
        raise ConfigurationError(
            f"{len(examples)} examples need as many vectors, but the array has the shape {vectors.shape}",
            hint="encode the texts of the examples, in their order",
        )
    vectors = numpy.ascontiguousarray(vectors, dtype=numpy.float32)
    finite = numpy.isfinite(vectors).all(axis=1)
    if not finite.all():
        text = examples[int(numpy.argmin(finite))].text
        raise ConfigurationError(
            f"the encoder gave a vector that is not finite (NaN or infinite) for the example {text[:80]!r}",
            hint="try another encoder, or float32 instead of bfloat16",
        )
    number = {label: index for index, label in enumerate(labels)}
    targets = [len(labels) if each.intent is None else number[each.intent] for each in examples]
    lexical = lexicon.encode([each.text for each in examples])
    return Rows(vectors, lexical, numpy.array(targets, dtype=numpy.int64))


def _assign_folds(targets: Integers) -> Integers:
    """A fold for each example, every class spread over them; an only example is never held out."""
    random = numpy.random.default_rng(_SEED)
    folds = numpy.full(len(targets), _NEVER_HELD_OUT, dtype=numpy.int64)
    offset = 0
    for target in numpy.unique(targets):
        rows = random.permutation(numpy.flatnonzero(targets == target))
        if len(rows) > 1:
            folds[rows] = (numpy.arange(len(rows)) + offset) % FOLDS
            offset += len(rows)
    return folds
