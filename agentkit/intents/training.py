"""Trains the intents of a bot from examples that the encoder has embedded.

    1. strength, lexical block and temperature: chosen on what was held out, every intent present
    2. gate and threshold: fitted on what was held out, with some intents left out as strangers, too
    3. the head that is kept: trained on everything

Held out are folds of the examples, or the validation messages where there are some. One pass of the encoder is all
that the examples cost; the rest is matrix products on its vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.intents.calibration import (
    IN_SCOPE,
    LEFT_OUT,
    STRANGE,
    Seen,
    cross_entropy,
    fit_scope,
    fit_temperature,
)
from agentkit.intents.examples import IntentExample
from agentkit.intents.features import Features
from agentkit.intents.head import Head, fit_head
from agentkit.intents.model import IntentModel
from agentkit.intents.scope import Surroundings, measure, spread
from agentkit.intents.training_data import FOLDS, TrainingData, arrange, hash_of

if TYPE_CHECKING:
    from agentkit.intents.head import Floats, Integers

_STRENGTHS: Final = (6.0, 30.0)
_LEXICAL_WEIGHTS: Final = (0.0, 0.5)
ENOUGH_STRANGERS: Final = 30
"""Out-of-scope validation messages from which the head that is kept is measured, and none that left intents out."""

_ROUGH: Final = 1e-4  # precision of the heads that only serve to choose
_SEED: Final = 0
_NEVER: Final = numpy.float32(-30.0)  # logit of an intent that is taken away


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was found best on held-out messages.

    Args:
        strength: Inverse regularisation strength.
        lexical_weight: Length of the lexical block; 0: it did not help.
        heads: The head of each round, trained without what the round held out.
        logits: float32 [m, intents] of the held-out messages in scope.
        targets: Their intents, [m].
        rows: Their numbers among the examples, or among the validation messages, [m].
    """

    strength: float
    lexical_weight: float
    heads: list[Head]
    logits: Floats
    targets: Integers
    rows: Integers


def train(
    examples: Sequence[IntentExample],
    vectors: Floats,
    encoder_id: str,
    *,
    validation: tuple[Sequence[IntentExample], Floats] | None = None,
    max_wrong: float | None = None,
) -> IntentModel:
    """Train the intents on a frozen encoder.

    Args:
        examples: What users say; `intent=None` marks messages that are out of scope.
        vectors: float32 [len(examples), dimension], unit vectors of the examples' texts, in their order.
        encoder_id: Which encoder made the vectors.
        validation: Messages to choose and calibrate with, and their vectors; None: folds of the examples.
        max_wrong: Between 0 and 1: the threshold accepts as much as it may with this share of wrong ones among the
            accepted; None: the threshold at which needless refusals and accepted strangers cost least.

    Returns:
        The model. The same arguments give the same model.

    Raises:
        ConfigurationError: The examples cannot be learned from: there are none, there is nothing to tell
            apart, labels differ in case only, or vectors are missing or not finite.
    """
    data = arrange(examples, vectors, validation)
    chosen = choose(data)
    seen, enough = seen_by(data, chosen)
    gate, threshold, figures = fit_scope(seen, max_wrong, enough_strangers=enough)
    mask = data.trainable
    read = data.rows.read(chosen.lexical_weight)
    head = fit_head(read[mask], data.rows.targets[mask], data.classes, chosen.strength, chosen.heads[0])
    right = chosen.logits.argmax(axis=1) == chosen.targets
    return IntentModel(
        labels=data.labels,
        features=Features(data.lexicon if chosen.lexical_weight else None, chosen.lexical_weight),
        head=head,
        temperature=fit_temperature(chosen.logits, chosen.targets),
        gate=gate,
        threshold=threshold,
        around=Surroundings.of(data.rows.vectors, data.rows.targets, data.intents),
        encoder_id=encoder_id,
        data_hash=hash_of(examples),
        figures=figures.model_copy(
            update={
                "examples": int(data.in_scope.sum()),
                "out_of_scope": int((~data.in_scope).sum()),
                "strength": chosen.strength,
                "accuracy": float(right.mean()) if right.size else None,
            }
        ),
    )


def choose(data: TrainingData, rounds: int | None = None) -> Chosen:
    """The strength and lexical weight with the lowest held-out cross-entropy (at its best temperature).

    Args:
        data: The examples.
        rounds: How many folds are held out; None: as many as their size asks for.
    """
    strengths = _STRENGTHS[-1:] if data.is_large else _STRENGTHS
    options: list[Chosen] = []
    starts: list[Head] = []
    for weight in _LEXICAL_WEIGHTS:
        starts = [_widened(head, data.rows.read(weight).shape[1]) for head in starts]
        for strength in strengths:
            if data.validation is not None:
                option = _on_validation(data, strength, weight, starts)
            else:
                option = _on_folds(data, strength, weight, starts, rounds or data.rounds)
            options.append(option)
            starts = option.heads
    losses = [cross_entropy(option.logits, option.targets) for option in options]
    return options[int(numpy.argmin(losses))]


def _widened(head: Head, width: int) -> Head:
    """A head that reads further blocks and makes nothing of them yet: a start that saves half of the steps."""
    more = numpy.zeros((width - head.weight.shape[0], head.weight.shape[1]), dtype=numpy.float32)
    return Head(numpy.vstack([head.weight, more]), head.bias)


def _on_validation(data: TrainingData, strength: float, weight: float, starts: list[Head]) -> Chosen:
    assert data.validation is not None
    mask, read = data.trainable, data.rows.read(weight)
    start = starts[0] if starts else None
    head = fit_head(read[mask], data.rows.targets[mask], data.classes, strength, start, precision=_ROUGH)
    inside = numpy.flatnonzero(data.validation.targets < data.intents)
    logits = head.logits(data.validation.read(weight)[inside])[:, : data.intents]
    return Chosen(strength, weight, [head], logits, data.validation.targets[inside], inside)


def _on_folds(data: TrainingData, strength: float, weight: float, starts: list[Head], rounds: int) -> Chosen:
    read, targets = data.rows.read(weight), data.rows.targets
    heads: list[Head] = []
    logits: list[Floats] = []
    found: list[Integers] = []
    for turn in range(rounds):
        held = data.folds == turn
        rows = data.trainable & ~held
        # Only the head of the same round may be the start: those of others have seen what is held out here.
        start = starts[turn] if starts else None
        heads.append(fit_head(read[rows], targets[rows], data.classes, strength, start, precision=_ROUGH))
        inside = numpy.flatnonzero(held & data.in_scope)
        logits.append(heads[-1].logits(read[inside])[:, : data.intents])
        found.append(inside)
    where = numpy.concatenate(found)
    return Chosen(strength, weight, heads, numpy.concatenate(logits), targets[where], where)


def seen_by(data: TrainingData, chosen: Chosen) -> tuple[Seen, bool]:
    """Held-out messages as a head that had not seen them measures them, and whether there are enough strangers among
    them for `fit_scope`."""
    if data.validation is None:
        return _with_left_out_intents(data, chosen), False
    part = data.validation
    logits = chosen.heads[0].logits(part.read(chosen.lexical_weight))
    around = Surroundings.of(data.rows.vectors, data.rows.targets, data.intents)
    seen = look(logits, part.targets, data.intents, part.vectors, around)
    if int((seen.kind == STRANGE).sum()) >= ENOUGH_STRANGERS:
        others = without_their_intent(logits, part.vectors, data.rows.vectors, data)
        return Seen.joined([seen, others]), True
    others = _with_left_out_intents(data, chosen)
    return Seen.joined([seen, others.only(others.kind != IN_SCOPE)]), False


def look(logits: Floats, targets: Integers, intents: int, space: Floats, around: Surroundings) -> Seen:
    """What a head says of messages with these targets, in which every intent is known.

    Args:
        logits: float32 [n, classes].
        targets: [n]; `intents` is out of scope.
        intents: How many intents there are.
        space: float32 [n, d], unit vectors.
        around: The examples.
    """
    inside = targets < intents
    right = (logits[:, :intents].argmax(axis=1) == targets) & inside
    kind = numpy.where(inside, IN_SCOPE, STRANGE)
    return Seen(measure(logits, intents, space, around), kind, right)


def without_their_intent(logits: Floats, space: Floats, known: Floats, data: TrainingData) -> Seen:
    """The validation messages as strangers: what is measured of each where its own intent is taken away.

    A head that was taught the intent is farther from such a message than from a true stranger, but which measures tell
    what comes close to the other intents shows all the same, and no training is needed.

    Args:
        logits: float32 [m, classes], of the validation messages.
        space: float32 [m, d], their unit vectors.
        known: float32 [n, d], those of the examples.
        data: Both, with their intents.
    """
    assert data.validation is not None
    targets, intents = data.validation.targets, data.intents
    around = Surroundings.of(known, data.rows.targets, intents)
    examples_of = data.rows.targets[data.in_scope]
    examples_of = examples_of[spread(examples_of)]
    rows = [measure(logits[:0], intents, space[:0], around)]
    for intent in numpy.unique(targets[targets < intents]) if intents > 1 else ():
        asked = targets == intent
        without = Surroundings(
            around.examples[examples_of != intent], numpy.delete(around.means, intent, axis=0)
        )
        changed = logits[asked].copy()
        changed[:, intent] = _NEVER
        rows.append(measure(changed, intents, space[asked], without))
    measured = numpy.concatenate(rows)
    kind = numpy.full(len(measured), LEFT_OUT)
    return Seen(measured, kind, numpy.zeros(len(measured), dtype=bool))


def _with_left_out_intents(data: TrainingData, chosen: Chosen) -> Seen:
    """Each round trains without one fold and without some of the intents, and measures both."""
    random = numpy.random.default_rng(_SEED)
    read, targets, vectors = data.rows.read(chosen.lexical_weight), data.rows.targets, data.rows.vectors
    groups = min(data.intents, FOLDS)
    group = random.permutation(data.intents) % groups  # [intents]
    is_scarce = ~data.in_scope if not data.has_none else numpy.zeros(len(targets), dtype=bool)
    parts: list[Seen] = []
    for turn in range(data.rounds):
        kept = group != turn % groups if data.intents > 1 else numpy.ones(1, dtype=bool)
        kept_classes = numpy.flatnonzero(numpy.append(kept, data.has_none))
        number = numpy.full(data.intents + 1, -1, dtype=numpy.int64)
        number[kept_classes] = numpy.arange(len(kept_classes))
        known = number[targets]  # -1: left out
        held = (data.folds == turn) | is_scarce
        rows = (known >= 0) & ~held & data.trainable
        intents = int(kept.sum())
        # Starts from nothing: the heads of the search have seen the intents that are left out here.
        head = fit_head(read[rows], known[rows], len(kept_classes), chosen.strength, precision=_ROUGH)
        kind = numpy.where(~data.in_scope, STRANGE, numpy.where(known < 0, LEFT_OUT, IN_SCOPE))
        asked = held | (kind == LEFT_OUT)
        logits = head.logits(read[asked])
        around = Surroundings.of(vectors[rows], known[rows], intents)
        right = (logits[:, :intents].argmax(axis=1) == known[asked]) & (kind[asked] == IN_SCOPE)
        parts.append(Seen(measure(logits, intents, vectors[asked], around), kind[asked], right))
    return Seen.joined(parts)
