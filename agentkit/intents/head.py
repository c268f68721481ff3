"""The linear head: multinomial logistic regression on vectors of a frozen encoder, in numpy.

    logits = vectors @ weight + bias                                        # [n, classes]
    loss   = mean cross-entropy + |weight|² / (2 · strength · n)            # the bias is not penalised

`strength` is the inverse of the regularisation as in the usual formulation (C in scikit-learn, LIBLINEAR).
The problem is convex; it is solved over the full batch with L-BFGS (Nocedal & Wright, Numerical Optimization,
algorithm 7.4) and a backtracking line search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[numpy.float32]
    Doubles: TypeAlias = NDArray[numpy.float64]
    Booleans: TypeAlias = NDArray[numpy.bool_]
    Integers: TypeAlias = NDArray[numpy.int64]

_MEMORY: Final = 10  # pairs of steps and gradient changes that stand for the curvature
_MOST_STEPS: Final = 200
_MOST_HALVINGS: Final = 20
_ENOUGH_DECREASE: Final = 1e-4  # of what the slope promises (Armijo)


@dataclass(frozen=True, eq=False)
class Head:
    """A trained head.

    Args:
        weight: float32 [dimension, classes].
        bias: float32 [classes].
    """

    weight: Floats
    bias: Floats

    def logits(self, vectors: Floats) -> Floats:
        """Unnormalised log-probabilities, float32 [n, classes], of vectors [n, dimension]."""
        return vectors @ self.weight + self.bias

    def keep(self, classes: Integers) -> Head:
        """The same head for some of its classes only: a good start for training on a subset."""
        return Head(self.weight[:, classes], self.bias[classes])


def fit_head(
    vectors: Floats,
    targets: Integers,
    classes: int,
    strength: float,
    start: Head | None = None,
    *,
    precision: float = 1e-5,
) -> Head:
    """Train a head.

    Args:
        vectors: float32 [n, dimension].
        targets: Class of each row, 0 to classes - 1.
        classes: How many classes there are; one of them may have no row.
        strength: Inverse regularisation strength; larger fits the examples more closely.
        start: Where the search begins; a head for similar data saves most of the steps.
        precision: The step that lowers the loss by less than this share of it is the last one.
    """
    inputs = numpy.hstack([vectors, numpy.ones((len(vectors), 1), dtype=numpy.float32)])  # [n, d+1]
    if start is None:
        parameters = numpy.zeros((inputs.shape[1], classes), dtype=numpy.float32)
    else:
        parameters = numpy.vstack([start.weight, start.bias])
    problem = _Problem(inputs, targets, penalty=1.0 / (strength * len(vectors)))
    solution = _minimise(problem, parameters, precision)
    return Head(numpy.ascontiguousarray(solution[:-1]), solution[-1].copy())


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities of each row, float32 [n, classes]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    normaliser = numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))
    return numpy.asarray(shifted - normaliser, dtype=numpy.float32)


class _Problem:
    """Loss and gradient of the regression; parameters are weight and bias stacked, [d+1, classes]."""

    def __init__(self, inputs: Floats, targets: Integers, penalty: float) -> None:
        self._inputs = inputs
        self._targets = targets
        self._rows = numpy.arange(len(inputs))
        self._penalty = penalty

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        n = len(self._inputs)
        log_probability = log_softmax(self._inputs @ parameters)  # [n, classes]
        # Summed in double precision: near the minimum the steps gain less than float32 resolves.
        loss = -float(log_probability[self._rows, self._targets].sum(dtype=numpy.float64)) / n
        loss += 0.5 * self._penalty * float(numpy.square(parameters[:-1]).sum(dtype=numpy.float64))
        error = numpy.exp(log_probability, out=log_probability)
        error[self._rows, self._targets] -= 1.0
        gradient = (self._inputs.T @ error) / numpy.float32(n)  # [d+1, classes]
        gradient[:-1] += numpy.float32(self._penalty) * parameters[:-1]
        return loss, gradient


def _minimise(problem: _Problem, parameters: Floats, precision: float) -> Floats:
    loss, gradient = problem(parameters)
    steps: list[tuple[Floats, Floats]] = []
    for _ in range(_MOST_STEPS):
        direction = _direction(gradient, steps)
        slope = _dot(gradient, direction)
        if slope >= 0.0:
            break
        size = 1.0
        for _ in range(_MOST_HALVINGS):
            candidate = parameters + numpy.float32(size) * direction
            new_loss, new_gradient = problem(candidate)
            if new_loss <= loss + _ENOUGH_DECREASE * size * slope:
                break
            size /= 2
        else:
            break
        pair = candidate - parameters, new_gradient - gradient
        if _dot(*pair) > 1e-12:
            steps = [*steps[1 - _MEMORY :], pair]
        is_last = loss - new_loss < precision * abs(new_loss)
        parameters, loss, gradient = candidate, new_loss, new_gradient
        if is_last:
            break
    return parameters


def _direction(gradient: Floats, steps: list[tuple[Floats, Floats]]) -> Floats:
    """The two-loop recursion: minus the inverse Hessian, as the last steps show it, times the gradient."""
    if not steps:
        return -gradient / numpy.float32(max(1e-12, _dot(gradient, gradient) ** 0.5))
    result = gradient.copy()
    shares: list[float] = []
    for step, change in reversed(steps):
        share = _dot(step, result) / _dot(step, change)
        result -= numpy.float32(share) * change
        shares.append(share)
    step, change = steps[-1]
    result *= numpy.float32(_dot(step, change) / _dot(change, change))
    for (step, change), share in zip(steps, reversed(shares), strict=True):
        result += numpy.float32(share - _dot(change, result) / _dot(step, change)) * step
    return -result


def _dot(left: Floats, right: Floats) -> float:
    return float(numpy.vdot(left, right))
