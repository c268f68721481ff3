"""Is a message in scope at all? A gate over measures that miss different things.

- `probability`: the head's log-probability of the best intent (Hendrycks & Gimpel 2017) notices a message between
  intents, but is sure of itself far away from every example.
- `nearest`: the cosine similarity to the nearest example notices a message far away from all examples, but not one
  that shares the words of an intent and wants something else.
- `class_mean`: the similarity to the nearest mean of an intent (after Lee et al. 2018): the same, less led by one
  odd example.
- `energy`: the log-sum-exp of the logits (Liu et al. 2020) also knows how strongly the head answers.
- `stranger`: the same less the logit of out of scope, where that is a class of the head: what it learned from the
  author's out-of-scope examples.

A logistic regression joins those that validation chooses. It is fitted on messages that the measured head had not
seen: held-out examples, the author's out-of-scope examples, and the examples of intents that were left out of
training, so that a bot without a single out-of-scope example has a useful threshold, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy

from agentkit.intents.head import log_softmax

if TYPE_CHECKING:
    from agentkit.intents.head import Booleans, Doubles, Floats, Integers

Measure: TypeAlias = Literal["probability", "nearest", "class_mean", "energy", "stranger"]
"""What is measured of a message; see the head of this module."""

OUT_OF_SCOPE_SHARE: Final = 0.1
"""Share of all messages that is assumed to be out of scope: weighs a refusal against a wrong intent."""

USUAL: Final[tuple[Measure, ...]] = ("probability", "nearest")
"""Best where the strangers are intents that a head was trained without: its energy is another then, and with it every
threshold. Another choice must be clearly better on validation."""
WITH_STRANGERS: Final[tuple[Measure, ...]] = ("nearest", "energy", "stranger")
"""Best where the head is the one that is kept, and there are messages that the author calls out of scope."""
CHOICES: Final[tuple[tuple[Measure, ...], ...]] = (
    USUAL,
    ("probability",),
    ("nearest",),
    ("class_mean",),
    ("energy",),
    ("probability", "class_mean"),
    ("probability", "nearest", "class_mean", "energy"),
    WITH_STRANGERS,
)
CLEARLY: Final = 0.005
"""Gain in AUROC, beyond what chance gives, from which another choice than the usual one is taken: with a handful of
examples one of so many choices always looks better."""
MOST_COMPARED: Final = 4096
"""Examples that a message is compared with: more cost milliseconds and gain nothing."""

_ALL: Final[tuple[Measure, ...]] = ("probability", "nearest", "class_mean", "energy", "stranger")
_PENALTY: Final = 3e-4
_MOST_STEPS: Final = 100
_RESAMPLES: Final = 30
_BLOCK: Final = 4_000_000  # similarities computed at a time, to bound memory


@dataclass(frozen=True)
class Gate:
    """In-scope probability from some measures (standardised).

    Args:
        measures: Which ones, in this order.
        centre: Mean of each over held-out in-scope examples.
        scale: Standard deviation of each.
        weights: Logistic regression weight of each.
        bias: Its constant.
    """

    measures: tuple[Measure, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def probability(self, measured: Floats) -> Doubles:
        """Probability that a message is in scope, float64 [n], of its measures [n, len(measures)]."""
        standardised = (measured - numpy.array(self.centre)) / numpy.array(self.scale)
        return _sigmoid(standardised @ numpy.array(self.weights) + self.bias)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The examples that a message is compared with.

    Args:
        examples: float32 [m, d], unit vectors of in-scope examples.
        means: float32 [intents, d], unit vectors; zero for an intent without examples.
    """

    examples: Floats
    means: Floats

    @classmethod
    def of(cls, vectors: Floats, targets: Integers, intents: int) -> Surroundings:
        """Of unit vectors [n, d] with targets [n]; those of targets beyond `intents` are left out."""
        inside = targets < intents
        vectors, targets = vectors[inside], targets[inside]
        sums = numpy.zeros((intents, vectors.shape[1]), dtype=numpy.float32)
        numpy.add.at(sums, targets, vectors)
        length = numpy.linalg.norm(sums, axis=1, keepdims=True)
        return cls(vectors[spread(targets)], sums / numpy.maximum(length, numpy.float32(1e-9)))


def measure(
    logits: Floats, intents: int, space: Floats, around: Surroundings, measures: Sequence[Measure] = _ALL
) -> Floats:
    """Measures of each message, float32 [n, len(measures)].

    Args:
        logits: float32 [n, classes]; a last class beyond `intents` stands for out of scope.
        intents: How many of the classes are intents.
        space: float32 [n, d], unit vectors of the messages.
        around: What they are compared with.
        measures: Which ones.
    """
    columns: list[Floats] = []
    for name in measures:
        if name == "probability":
            columns.append(log_softmax(logits)[:, :intents].max(axis=1))
        elif name == "nearest":
            columns.append(nearest_similarity(space, around.examples))
        elif name == "class_mean":
            columns.append(nearest_similarity(space, around.means))
        elif name == "energy":
            columns.append(_energy(logits[:, :intents]))
        elif logits.shape[1] > intents:
            columns.append(_energy(logits[:, :intents]) - logits[:, intents])
        else:
            columns.append(numpy.zeros(len(logits), dtype=numpy.float32))
    return numpy.stack(columns, axis=1).astype(numpy.float32)


def _energy(logits: Floats) -> Floats:
    most = logits.max(axis=1)
    return numpy.asarray(most + numpy.log(numpy.exp(logits - most[:, None]).sum(axis=1)))


def nearest_similarity(vectors: Floats, examples: Floats) -> Floats:
    """Cosine similarity of each unit vector [n, d] to the nearest of the unit vectors [m, d]: float32 [n]."""
    if len(vectors) == 1:  # not a matrix product, whose threads stall for milliseconds where cores are busy
        return numpy.asarray(numpy.vecdot(examples, vectors[0]).max(keepdims=True))
    rows = max(1, _BLOCK // max(1, len(examples)))
    parts = [(vectors[at : at + rows] @ examples.T).max(axis=1) for at in range(0, len(vectors), rows)]
    return numpy.concatenate(parts) if parts else numpy.zeros(0, dtype=numpy.float32)


def choose_gate(
    measured: Floats, in_scope: Doubles, weight: Doubles, usual: tuple[Measure, ...] = USUAL
) -> tuple[Gate, dict[str, float]]:
    """The gate of the choice that tells best what is in scope, and the AUROC of each choice.

    Args:
        measured: float32 [n, 5], all measures of messages that the head had not seen.
        in_scope: 1 for a message in scope, 0 for one that is not; [n].
        weight: Weight of each message, [n]; sums to 1.
        usual: What is taken unless another choice is clearly better.
    """
    gates: list[Gate] = []
    scores: dict[str, float] = {}
    for choice in (usual, *(each for each in CHOICES if each != usual)):
        gate = fit_gate(columns(measured, choice), in_scope, weight, choice)
        gates.append(gate)
        found = gate.probability(columns(measured, choice))
        scores[" + ".join(choice)] = auroc(found, in_scope > 0, weight)
    values = list(scores.values())
    best = int(numpy.argmax(values))
    clearly = CLEARLY + 2 * _standard_error(values[0], in_scope)
    return gates[best if values[best] >= values[0] + clearly else 0], scores


def _standard_error(area: float, in_scope: Doubles) -> float:
    """Of an AUROC, about: what it varies by from one sample of the rarer kind to the next."""
    fewest = min(int((in_scope > 0).sum()), int((in_scope <= 0).sum()))
    return float(numpy.sqrt(max(0.0, area * (1 - area)) / max(1, fewest)))


def columns(measured: Floats, measures: Sequence[Measure]) -> Floats:
    """The columns of some measures out of all five."""
    return measured[:, [_ALL.index(name) for name in measures]]


def fit_gate(measured: Floats, in_scope: Doubles, weight: Doubles, measures: Sequence[Measure]) -> Gate:
    """Fit a gate by iteratively reweighted least squares; arguments as in `choose_gate`, columns of `measures`."""
    inside = measured[in_scope > 0].astype(numpy.float64)
    centre, scale = inside.mean(axis=0), inside.std(axis=0)
    scale[scale < 1e-6] = 1.0  # a measure that never varies decides nothing
    width = len(measures) + 1
    inputs = numpy.hstack([(measured - centre) / scale, numpy.ones((len(measured), 1))])  # [n, width]
    penalty = numpy.diag([_PENALTY] * len(measures) + [1e-9])
    solution = numpy.zeros(width)
    for _ in range(_MOST_STEPS):
        probability = _sigmoid(inputs @ solution)
        gradient = inputs.T @ (weight * (probability - in_scope)) + penalty @ solution
        curvature = weight * probability * (1 - probability)
        step = numpy.linalg.solve((inputs * curvature[:, None]).T @ inputs + penalty, gradient)
        solution -= step / max(1.0, float(numpy.abs(step).max()))  # steps are bounded: separable data diverge
        if float(numpy.abs(step).max()) < 1e-8:
            break
    return Gate(tuple(measures), _floats(centre), _floats(scale), _floats(solution[:-1]), float(solution[-1]))


def gate_without_held_out(similarity: float) -> Gate:
    """A gate for examples too few to hold any out: half way between strangers and a repeated example.

    Args:
        similarity: Mean similarity of messages out of scope to the nearest example.
    """
    middle = (1.0 + similarity) / 2
    # Probability 0.5 in the middle, about 0.98 for an example word by word.
    return Gate(("nearest",), (middle,), (max(1e-3, (1.0 - middle) / 4),), (1.0,), 0.0)


def best_threshold(probability: Doubles, gain: Doubles) -> float:
    """The in-scope probability to accept from, so that the sum of `gain` over what is accepted is greatest.

    Args:
        probability: In-scope probability of held-out messages, [n].
        gain: What accepting each is worth: positive where its intent would be right, negative where it is out
            of scope, zero where the intent would be wrong either way.
    """
    random = numpy.random.default_rng(0)
    cuts = [_best_cut(probability, gain)]
    # The optimum is flat, so one sample's cut wanders; the mean over resamples is steadier (Breiman 1996, bagging).
    for _ in range(_RESAMPLES):
        rows = random.integers(0, len(gain), size=len(gain))
        cuts.append(_best_cut(probability[rows], gain[rows]))
    return float(numpy.clip(numpy.mean(cuts), 0.02, 0.98))


def threshold_for_risk(probability: Doubles, right: Booleans, weight: Doubles, most_wrong: float) -> float:
    """The lowest threshold at which the share of wrong ones among the accepted is at most `most_wrong`.

    Args:
        probability: In-scope probability of held-out messages, [n].
        right: Whether accepting each would be right, [n].
        weight: Weight of each, [n].
        most_wrong: Between 0 and 1.

    Returns:
        The threshold; that with the smallest share where none is small enough.
    """
    order, _, risk = _curve(probability, right, weight)
    fits = numpy.flatnonzero(risk <= most_wrong)
    last = int(fits[-1]) if fits.size else int(numpy.argmin(risk))
    below = probability[order[last + 1]] if last + 1 < len(order) else 0.0
    return float(numpy.clip((probability[order[last]] + below) / 2, 0.0, 1.0))


def risk_coverage(
    probability: Doubles, right: Booleans, weight: Doubles, points: int = 41
) -> tuple[tuple[float, float, float], ...]:
    """The risk-coverage curve (El-Yaniv & Wiener 2010) as rows of threshold, share accepted, share of them wrong."""
    order, coverage, risk = _curve(probability, right, weight)
    rows = numpy.unique(numpy.linspace(0, len(order) - 1, min(points, len(order))).round().astype(int))
    return tuple((float(probability[order[row]]), float(coverage[row]), float(risk[row])) for row in rows)


def auroc(score: Doubles, positive: Booleans, weight: Doubles | None = None) -> float:
    """Probability that a positive scores above a negative, ties counted half; .5 where either is missing."""
    weight = numpy.ones(len(score)) if weight is None else weight
    values, inverse = numpy.unique(score, return_inverse=True)
    above = numpy.bincount(inverse, weight * positive, minlength=len(values))
    below = numpy.bincount(inverse, weight * ~positive, minlength=len(values))
    pairs = above.sum() * below.sum()
    if pairs <= 0:
        return 0.5
    return float((above * (numpy.cumsum(below) - below / 2)).sum() / pairs)


def _curve(probability: Doubles, right: Booleans, weight: Doubles) -> tuple[Integers, Doubles, Doubles]:
    order = numpy.argsort(-probability, kind="stable")
    accepted = numpy.cumsum(weight[order])
    wrong = numpy.cumsum((weight * ~right)[order])
    return order, accepted / max(float(weight.sum()), 1e-12), wrong / numpy.maximum(accepted, 1e-12)


def spread(targets: Integers) -> Integers:
    """Rows of at most `MOST_COMPARED` examples with targets [n], as even over the intents as they allow; sorted."""
    if len(targets) <= MOST_COMPARED:
        return numpy.arange(len(targets))
    random = numpy.random.default_rng(0)
    shuffled = random.permutation(len(targets))
    by_intent = shuffled[numpy.argsort(targets[shuffled], kind="stable")]
    sizes = numpy.bincount(targets)
    turn = numpy.concatenate(
        [numpy.arange(size) for size in sizes]
    )  # first of each intent, second of each, …
    return numpy.sort(by_intent[numpy.argsort(turn, kind="stable")[:MOST_COMPARED]])


def _best_cut(probability: Doubles, gain: Doubles) -> float:
    order = numpy.argsort(-probability, kind="stable")
    total = numpy.concatenate([[0.0], numpy.cumsum(gain[order])])  # total[k]: accept the k most probable
    best = numpy.flatnonzero(total >= total.max() - 1e-12)
    edges = numpy.concatenate([[1.0], probability[order], [0.0]])
    # Half way between the last accepted and the first refused message, in the middle of equally good cuts.
    return float(numpy.median((edges[best] + edges[best + 1]) / 2))


def _sigmoid(values: Doubles) -> Doubles:
    return numpy.asarray(1.0 / (1.0 + numpy.exp(-numpy.clip(values, -50, 50))))


def _floats(values: Doubles) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
