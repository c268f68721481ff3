"""Trains the intents of a bot from examples that the encoder has embedded.

    1. strength and temperature: chosen on folds that were held out, every intent present
    2. gate and threshold: fitted on folds in which some intents were left out, too, as strangers
    3. the head that is kept: trained on everything

One pass of the encoder is all that the examples cost; the rest is matrix products on its vectors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import ConfigurationError
from agentkit.intents.examples import IntentExample, check_labels
from agentkit.intents.head import Head, fit_head, log_softmax
from agentkit.intents.model import IntentModel, TrainingFigures
from agentkit.intents.scope import (
    OUT_OF_SCOPE_SHARE,
    Gate,
    best_threshold,
    fit_gate,
    gate_without_held_out,
    measure,
    nearest_similarity,
)

if TYPE_CHECKING:
    from agentkit.intents.head import Booleans, Doubles, Floats, Integers

_STRENGTHS: Final = (6.0, 30.0)
_FOLDS: Final = 5
# Rounds of cross-validation by examples times classes: large data are measured well enough by fewer of the folds.
_ROUNDS: Final = ((20_000, 5), (300_000, 3), (float("inf"), 2))
_ENOUGH_FOR_A_CLASS: Final = 5  # out-of-scope examples that become a class of the head
_LEFT_OUT_COUNT_AS: Final = 50  # out-of-scope examples that weigh as much as all intents left out
_ROUGH: Final = 1e-4  # precision of the heads that only serve to choose
_SEED: Final = 0
_NEVER_HELD_OUT: Final = -1
_SHARPEST: Final = 10.0  # bound of the inverse temperature, where held-out examples are all right


@dataclass(frozen=True, eq=False)
class _Data:
    """The examples as arrays; out of scope is class number `intents`, behind the real ones."""

    vectors: Floats  # [n, d]
    targets: Integers  # [n]
    labels: tuple[str, ...]
    folds: Integers  # [n], the round in which each is held out
    rounds: int
    has_none: bool  # whether out of scope is a class of the head

    @property
    def intents(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        return self.intents + int(self.has_none)

    @property
    def in_scope(self) -> Booleans:
        return self.targets < self.intents

    @property
    def trainable(self) -> Booleans:
        return self.targets < self.classes


def train(examples: Sequence[IntentExample], vectors: Floats, encoder_id: str) -> IntentModel:
    """Train the intents.

    Args:
        examples: What users say; `intent=None` marks messages that are out of scope.
        vectors: float32 [len(examples), dimension], unit vectors of the examples' texts, in their order.
        encoder_id: Which encoder made the vectors.

    Returns:
        The model. The same arguments give the same model.

    Raises:
        ConfigurationError: The examples cannot be learned from: there are none, there is nothing to tell
            apart, labels differ in case only, or vectors are missing or not finite.
    """
    data = _arrange(examples, vectors)
    strength, heads, logits = _choose_strength(data)
    temperature = _fit_temperature(logits, data)
    gate, threshold, figures = _fit_scope(data, strength, heads)
    mask = data.trainable
    head = fit_head(data.vectors[mask], data.targets[mask], data.classes, strength, heads[0])
    held = _held_out(data)
    right = logits[held][:, : data.intents].argmax(axis=1) == data.targets[held]
    return IntentModel(
        labels=data.labels,
        head=head,
        temperature=temperature,
        gate=gate,
        threshold=threshold,
        examples=data.vectors[data.in_scope],
        encoder_id=encoder_id,
        data_hash=hash_of(examples),
        figures=figures.model_copy(
            update={"strength": strength, "accuracy": float(right.mean()) if right.size else None}
        ),
    )


def hash_of(examples: Sequence[IntentExample]) -> str:
    """SHA-256 of the examples in their order, hexadecimal."""
    rows = [[example.text, example.intent] for example in examples]
    return hashlib.sha256(json.dumps(rows, ensure_ascii=True).encode()).hexdigest()


def _arrange(examples: Sequence[IntentExample], vectors: Floats) -> _Data:
    check_labels(examples)
    labels = tuple(dict.fromkeys(each.intent for each in examples if each.intent is not None))
    if not labels:
        raise ConfigurationError(
            "there are no examples of an intent to learn from", hint="give each intent ten or more examples"
        )
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
    targets = numpy.array(
        [number.get(each.intent or "", len(labels)) for each in examples], dtype=numpy.int64
    )
    strangers = int((targets == len(labels)).sum())
    if len(labels) == 1 and strangers == 0:
        raise ConfigurationError(
            f"`{labels[0]}` is the only intent and nothing is out of scope: there is nothing to tell it from",
            hint="add a second intent, or examples of messages that are out of scope",
        )
    has_none = strangers >= _ENOUGH_FOR_A_CLASS
    size = len(examples) * (len(labels) + 1)
    rounds = next(rounds for most, rounds in _ROUNDS if size <= most)
    return _Data(vectors, targets, labels, _assign_folds(targets), rounds, has_none)


def _assign_folds(targets: Integers) -> Integers:
    """A fold of five for each example, every class spread over them; an only example is never held out."""
    random = numpy.random.default_rng(_SEED)
    folds = numpy.full(len(targets), _NEVER_HELD_OUT, dtype=numpy.int64)
    offset = 0
    for target in numpy.unique(targets):
        rows = random.permutation(numpy.flatnonzero(targets == target))
        if len(rows) > 1:
            folds[rows] = (numpy.arange(len(rows)) + offset) % _FOLDS
            offset += len(rows)
    return folds


def _choose_strength(data: _Data) -> tuple[float, list[Head], Floats]:
    """The regularisation with the lowest held-out cross-entropy (at its best temperature).

    Returns:
        The strength, the head of each round, and the logits of held-out rows, [n, classes] (zero elsewhere).
    """
    heads: list[list[Head]] = [[] for _ in _STRENGTHS]
    logits = [numpy.zeros((len(data.targets), data.classes), dtype=numpy.float32) for _ in _STRENGTHS]
    for turn in range(data.rounds):
        held = data.folds == turn
        rows = data.trainable & ~held
        vectors, targets = data.vectors[rows], data.targets[rows]
        head: Head | None = None
        for index, strength in enumerate(_STRENGTHS):
            # Only heads of the same round may be the start: those of others have seen what is held out here.
            head = fit_head(vectors, targets, data.classes, strength, head, precision=_ROUGH)
            heads[index].append(head)
            logits[index][held] = head.logits(data.vectors[held])
    losses = [_cross_entropy(each, data, _fit_temperature(each, data)) for each in logits]
    best = int(numpy.argmin(losses))
    return _STRENGTHS[best], heads[best], logits[best]


def _held_out(data: _Data) -> Booleans:
    """The in-scope examples that some round held out."""
    return data.in_scope & (data.folds >= 0) & (data.folds < data.rounds)


def _cross_entropy(logits: Floats, data: _Data, temperature: float) -> float:
    held = _held_out(data)
    if not held.any():
        return 0.0
    scores = log_softmax(logits[held][:, : data.intents] / numpy.float32(temperature))
    return -float(scores[numpy.arange(len(scores)), data.targets[held]].mean())


def _fit_temperature(logits: Floats, data: _Data) -> float:
    """Temperature scaling (Guo et al. 2017): Newton's method on its inverse, in which the loss is convex."""
    held = _held_out(data)
    if not held.any() or data.intents == 1:
        return 1.0
    scores = logits[held][:, : data.intents].astype(numpy.float64)
    wanted = scores[numpy.arange(len(scores)), data.targets[held]]
    inverse = 1.0
    for _ in range(50):
        probability = numpy.exp(log_softmax((scores * inverse).astype(numpy.float32)).astype(numpy.float64))
        mean = (probability * scores).sum(axis=1)
        slope = float((mean - wanted).mean())
        curvature = float(((probability * scores**2).sum(axis=1) - mean**2).mean())
        step = slope / max(curvature, 1e-6)
        updated = float(numpy.clip(inverse - step, inverse / 2, inverse * 2))
        updated = min(max(updated, 1 / _SHARPEST), _SHARPEST)
        if abs(updated - inverse) < 1e-4:
            break
        inverse = updated
    return 1.0 / inverse


@dataclass(frozen=True, eq=False)
class _Measured:
    """What heads said of messages that they had not seen."""

    measures: Floats  # [m, 2]
    kind: Integers  # [m]: 1 in scope, 0 out of scope by the author, -1 of an intent that was left out
    right: Booleans  # [m], in scope and its intent came first

    def weights(self, out_of_scope: int) -> Doubles:
        """Weight of each message: kinds get fixed shares, whatever their numbers."""
        left_out = _LEFT_OUT_COUNT_AS / (_LEFT_OUT_COUNT_AS + out_of_scope)
        shares = {1: 1 - OUT_OF_SCOPE_SHARE, 0: 1 - left_out, -1: left_out}
        counts = {kind: int((self.kind == kind).sum()) for kind in shares}
        outside = sum(shares[kind] for kind in (0, -1) if counts[kind])
        weight = numpy.zeros(len(self.kind))
        for kind, count in counts.items():
            if count:
                share = shares[kind] if kind == 1 else OUT_OF_SCOPE_SHARE * shares[kind] / outside
                weight[self.kind == kind] = share / count
        return weight


def _fit_scope(data: _Data, strength: float, heads: list[Head]) -> tuple[Gate, float, TrainingFigures]:
    """The gate, the threshold on its probability, and what both achieve on held-out messages."""
    seen = _measure_strangers(data, strength, heads)
    strangers = int((~data.in_scope).sum())
    weight = seen.weights(strangers)
    inside, outside = seen.kind == 1, seen.kind != 1
    if inside.sum() < 2:
        gate = gate_without_held_out(float(seen.measures[outside, 1].mean()))
        threshold = 0.5
    else:
        gate = fit_gate(seen.measures, inside.astype(numpy.float64), weight)
        gain = numpy.where(inside, weight * seen.right, -weight)
        threshold = best_threshold(gate.probability(seen.measures), gain)
    accepted = gate.probability(seen.measures) >= threshold
    figures = TrainingFigures(
        examples=int(data.in_scope.sum()),
        out_of_scope=strangers,
        accepted_and_right=_share(accepted & seen.right, inside),
        out_of_scope_declined=_share(~accepted, seen.kind == 0),
        left_out_declined=_share(~accepted, seen.kind == -1),
    )
    return gate, threshold, figures


def _measure_strangers(data: _Data, strength: float, heads: list[Head]) -> _Measured:
    """Each round trains without one fold and without some of the intents, and measures both."""
    random = numpy.random.default_rng(_SEED)
    groups = min(data.intents, _FOLDS)
    group = random.permutation(data.intents) % groups  # [intents]
    is_scarce = ~data.in_scope if not data.has_none else numpy.zeros(len(data.targets), dtype=bool)
    parts: list[_Measured] = []
    for turn in range(data.rounds):
        kept = group != turn % groups if data.intents > 1 else numpy.ones(1, dtype=bool)
        kept_classes = numpy.flatnonzero(numpy.append(kept, data.has_none))
        number = numpy.full(data.intents + 1, -1, dtype=numpy.int64)
        number[kept_classes] = numpy.arange(len(kept_classes))
        targets = number[data.targets]  # -1: left out
        held = (data.folds == turn) | is_scarce
        rows = (targets >= 0) & ~held & data.trainable
        intents = int(kept.sum())
        # Starts from nothing: the heads of the search have seen the intents that are left out here.
        head = fit_head(data.vectors[rows], targets[rows], len(kept_classes), strength, precision=_ROUGH)
        kind = numpy.where(~data.in_scope, 0, numpy.where(targets < 0, -1, 1))
        asked = held | (kind == -1)
        logits = head.logits(data.vectors[asked])
        similarity = nearest_similarity(data.vectors[asked], data.vectors[rows & data.in_scope])
        right = (logits[:, :intents].argmax(axis=1) == targets[asked]) & (kind[asked] == 1)
        parts.append(_Measured(measure(logits, intents, similarity), kind[asked], right))
    return _Measured(
        numpy.concatenate([part.measures for part in parts]),
        numpy.concatenate([part.kind for part in parts]),
        numpy.concatenate([part.right for part in parts]),
    )


def _share(what: Booleans, among: Booleans) -> float | None:
    return float(what[among].mean()) if among.any() else None
