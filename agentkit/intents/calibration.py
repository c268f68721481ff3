"""From what a head says of messages that it has not seen to probabilities, a gate and one threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.intents.head import log_softmax
from agentkit.intents.model import TrainingFigures
from agentkit.intents.scope import (
    OUT_OF_SCOPE_SHARE,
    USUAL,
    WITH_STRANGERS,
    Gate,
    best_threshold,
    choose_gate,
    columns,
    gate_without_held_out,
    risk_coverage,
    threshold_for_risk,
)

if TYPE_CHECKING:
    from agentkit.intents.head import Booleans, Doubles, Floats, Integers

IN_SCOPE: Final = 1
"""Kind of a message that has an intent."""
STRANGE: Final = 0
"""Kind of a message that the author calls out of scope."""
LEFT_OUT: Final = -1
"""Kind of a message whose intent the head was not taught."""

_LEFT_OUT_COUNT_AS: Final = 50  # out-of-scope examples that weigh as much as all intents left out
_SHARPEST: Final = 10.0  # bound of the inverse temperature, where held-out examples are all right


@dataclass(frozen=True, eq=False)
class Seen:
    """What heads said of messages that they had not seen.

    Args:
        measured: float32 [m, 5], all measures of `agentkit.intents.scope`.
        kind: [m], `IN_SCOPE`, `STRANGE` or `LEFT_OUT`.
        right: [m], in scope and its intent came first.
    """

    measured: Floats
    kind: Integers
    right: Booleans

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """All parts as one."""
        return cls(
            numpy.concatenate([part.measured for part in parts]),
            numpy.concatenate([part.kind for part in parts]),
            numpy.concatenate([part.right for part in parts]),
        )

    def only(self, rows: Booleans) -> Seen:
        """Some of the messages."""
        return Seen(self.measured[rows], self.kind[rows], self.right[rows])

    def weights(self) -> Doubles:
        """Weight of each message: kinds get fixed shares, whatever their numbers."""
        strangers = int((self.kind == STRANGE).sum())
        left_out = _LEFT_OUT_COUNT_AS / (_LEFT_OUT_COUNT_AS + strangers)
        shares = {IN_SCOPE: 1 - OUT_OF_SCOPE_SHARE, STRANGE: 1 - left_out, LEFT_OUT: left_out}
        counts = {kind: int((self.kind == kind).sum()) for kind in shares}
        outside = sum(shares[kind] for kind in (STRANGE, LEFT_OUT) if counts[kind])
        weight = numpy.zeros(len(self.kind))
        for kind, count in counts.items():
            if count:
                share = shares[kind] if kind == IN_SCOPE else OUT_OF_SCOPE_SHARE * shares[kind] / outside
                weight[self.kind == kind] = share / count
        return weight


def fit_scope(
    seen: Seen,
    max_wrong: float | None,
    *,
    stranger_costs: float = 1.0,
    enough_strangers: bool = False,
) -> tuple[Gate, float, TrainingFigures]:
    """The gate, the threshold on its probability, and what both achieve on held-out messages.

    Args:
        seen: The held-out messages.
        max_wrong: Share of accepted messages that may be wrong; None: the threshold at which refusals of what would be
            right and accepted strangers together cost least.
        stranger_costs: What an accepted stranger costs in needless refusals, where `max_wrong` is None.
        enough_strangers: Whether the head that is kept measured enough messages that the author calls out of scope.
            They alone set the threshold then; those whose intent was taken away only help to fit the gate.
    """
    weight = seen.weights()
    inside, outside = seen.kind == IN_SCOPE, seen.kind != IN_SCOPE
    judged = seen.only(seen.kind != LEFT_OUT) if enough_strangers else seen
    scores: dict[str, float] = {}
    if inside.sum() < 2 or not outside.any():
        similarity = columns(seen.measured, ("nearest",))[outside]
        gate = gate_without_held_out(float(similarity.mean()) if outside.any() else 0.5)
        threshold = 0.5
        probability = gate.probability(columns(seen.measured, gate.measures))
    else:
        usual = WITH_STRANGERS if enough_strangers else USUAL
        gate, scores = choose_gate(seen.measured, inside.astype(numpy.float64), weight, usual)
        probability = gate.probability(columns(seen.measured, gate.measures))
        threshold = _threshold(gate, judged, max_wrong, stranger_costs)
    accepted = probability >= threshold
    return (
        gate,
        threshold,
        TrainingFigures(
            examples=0,
            out_of_scope=0,
            accepted_and_right=_share(accepted & seen.right, inside),
            out_of_scope_declined=_share(~accepted, seen.kind == STRANGE),
            left_out_declined=_share(~accepted, seen.kind == LEFT_OUT),
            scores=scores,
            curve=risk_coverage(
                gate.probability(columns(judged.measured, gate.measures)), judged.right, judged.weights()
            ),
            max_wrong=max_wrong,
        ),
    )


def _threshold(gate: Gate, judged: Seen, max_wrong: float | None, stranger_costs: float) -> float:
    probability, weight = gate.probability(columns(judged.measured, gate.measures)), judged.weights()
    if max_wrong is not None:
        return threshold_for_risk(probability, judged.right, weight, max_wrong)
    gain = numpy.where(judged.kind == IN_SCOPE, weight * judged.right, -stranger_costs * weight)
    return best_threshold(probability, gain)


def fit_temperature(logits: Floats, targets: Integers) -> float:
    """Temperature scaling (Guo et al. 2017): Newton's method on its inverse, in which the loss is convex.

    Args:
        logits: float32 [n, intents] of held-out messages in scope.
        targets: Their intents, [n].
    """
    if len(logits) == 0 or logits.shape[1] == 1:
        return 1.0
    scores = logits.astype(numpy.float64)
    wanted = scores[numpy.arange(len(scores)), targets]
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


def cross_entropy(logits: Floats, targets: Integers) -> float:
    """Mean loss of held-out messages in scope at their best temperature; arguments as in `fit_temperature`."""
    if len(logits) == 0:
        return 0.0
    scores = log_softmax(logits / numpy.float32(fit_temperature(logits, targets)))
    return -float(scores[numpy.arange(len(scores)), targets].mean())


def _share(what: Booleans, among: Booleans) -> float | None:
    return float(what[among].mean()) if among.any() else None
