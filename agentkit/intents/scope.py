"""Is a message in scope at all? A gate of two measures that miss different things.

- The head's log-probability of the best intent (Hendrycks & Gimpel 2017) notices a message between intents,
  but is sure of itself far away from every example.
- The cosine similarity to the nearest example notices a message far away from all examples, but not one that
  shares the words of an intent and wants something else.

A logistic regression joins the two. It is fitted on messages that the measured head had not seen: held-out
examples of the intents, the author's out-of-scope examples, and the examples of intents that were left out of
training, so that a bot without a single out-of-scope example has a useful threshold, too. (Energy and the
distance to class means were tried as well; `dev/log.md` has the figures.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.intents.head import log_softmax

if TYPE_CHECKING:
    from agentkit.intents.head import Doubles, Floats

OUT_OF_SCOPE_SHARE: Final = 0.1
"""Share of all messages that is assumed to be out of scope: weighs a refusal against a wrong intent."""

_PENALTY: Final = 3e-4
_MOST_STEPS: Final = 100
_RESAMPLES: Final = 30
_BLOCK: Final = 4_000_000  # similarities computed at a time, to bound memory


@dataclass(frozen=True)
class Gate:
    """In-scope probability from the two measures (standardised), in the order of `measure`.

    Args:
        centre: Mean of each measure over held-out in-scope examples.
        scale: Standard deviation of each.
        weights: Logistic regression weight of each.
        bias: Its constant.
    """

    centre: tuple[float, float]
    scale: tuple[float, float]
    weights: tuple[float, float]
    bias: float

    def probability(self, measures: Floats) -> Doubles:
        """Probability that a message is in scope, float64 [n], of measures [n, 2]."""
        standardised = (measures - numpy.array(self.centre)) / numpy.array(self.scale)
        return _sigmoid(standardised @ numpy.array(self.weights) + self.bias)


def measure(logits: Floats, intents: int, similarity: Floats) -> Floats:
    """The two measures of each message, float32 [n, 2].

    Args:
        logits: float32 [n, classes]; a last class beyond `intents` stands for out of scope.
        intents: How many of the classes are intents.
        similarity: float32 [n], cosine similarity to the nearest example of any intent.
    """
    best = log_softmax(logits)[:, :intents].max(axis=1)
    return numpy.stack([best, similarity], axis=1).astype(numpy.float32)


def nearest_similarity(vectors: Floats, examples: Floats) -> Floats:
    """Cosine similarity of each unit vector [n, d] to the nearest of the unit vectors [m, d]: float32 [n]."""
    if len(vectors) == 1:  # not a matrix product, whose threads stall for milliseconds where cores are busy
        return numpy.asarray(numpy.vecdot(examples, vectors[0]).max(keepdims=True))
    rows = max(1, _BLOCK // max(1, len(examples)))
    parts = [(vectors[at : at + rows] @ examples.T).max(axis=1) for at in range(0, len(vectors), rows)]
    return numpy.concatenate(parts) if parts else numpy.zeros(0, dtype=numpy.float32)


def fit_gate(measures: Floats, in_scope: Doubles, weight: Doubles) -> Gate:
    """Fit the gate by iteratively reweighted least squares.

    Args:
        measures: float32 [n, 2] of messages that the head had not seen.
        in_scope: 1 for a message in scope, 0 for one that is not; [n].
        weight: Weight of each message, [n]; sums to 1.
    """
    inside = measures[in_scope > 0].astype(numpy.float64)
    centre, scale = inside.mean(axis=0), inside.std(axis=0)
    scale[scale < 1e-6] = 1.0  # a measure that never varies decides nothing
    inputs = numpy.hstack([(measures - centre) / scale, numpy.ones((len(measures), 1))])  # [n, 3]
    penalty = numpy.diag([_PENALTY, _PENALTY, 1e-9])
    solution = numpy.zeros(3)
    for _ in range(_MOST_STEPS):
        probability = _sigmoid(inputs @ solution)
        gradient = inputs.T @ (weight * (probability - in_scope)) + penalty @ solution
        curvature = weight * probability * (1 - probability)
        step = numpy.linalg.solve((inputs * curvature[:, None]).T @ inputs + penalty, gradient)
        solution -= step / max(1.0, float(numpy.abs(step).max()))  # steps are bounded: separable data diverge
        if float(numpy.abs(step).max()) < 1e-8:
            break
    return Gate(_pair(centre), _pair(scale), _pair(solution), float(solution[2]))


def gate_without_held_out(similarity: float) -> Gate:
    """A gate for examples too few to hold any out: half way between strangers and a repeated example.

    Args:
        similarity: Mean similarity of messages out of scope to the nearest example.
    """
    middle = (1.0 + similarity) / 2
    # Probability 0.5 in the middle, about 0.98 for an example word by word.
    return Gate((0.0, middle), (1.0, max(1e-3, (1.0 - middle) / 4)), (0.0, 1.0), 0.0)


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


def _best_cut(probability: Doubles, gain: Doubles) -> float:
    order = numpy.argsort(-probability, kind="stable")
    total = numpy.concatenate([[0.0], numpy.cumsum(gain[order])])  # total[k]: accept the k most probable
    best = numpy.flatnonzero(total >= total.max() - 1e-12)
    edges = numpy.concatenate([[1.0], probability[order], [0.0]])
    # Half way between the last accepted and the first refused message, in the middle of equally good cuts.
    return float(numpy.median((edges[best] + edges[best + 1]) / 2))


def _sigmoid(values: Doubles) -> Doubles:
    return numpy.asarray(1.0 / (1.0 + numpy.exp(-numpy.clip(values, -50, 50))))


def _pair(values: Doubles) -> tuple[float, float]:
    return float(values[0]), float(values[1])
