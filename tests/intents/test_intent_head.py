"""The optimiser finds the minimum of a problem whose answer is known otherwise."""

from __future__ import annotations

import numpy
import pytest

from agentkit.intents.head import Head, fit_head, log_softmax
from agentkit.intents.scope import (
    CHOICES,
    USUAL,
    WITH_STRANGERS,
    Surroundings,
    best_threshold,
    choose_gate,
    fit_gate,
    measure,
)


def loss_of(head: Head, vectors: numpy.ndarray, targets: numpy.ndarray, strength: float) -> float:
    chosen = log_softmax(head.logits(vectors))[numpy.arange(len(targets)), targets]
    penalty = float((head.weight.astype(numpy.float64) ** 2).sum()) / (2 * strength * len(targets))
    return -float(chosen.mean()) + penalty


def problem(seed: int = 0) -> tuple[numpy.ndarray, numpy.ndarray]:
    random = numpy.random.default_rng(seed)
    targets = random.integers(0, 3, size=90)
    vectors = random.normal(size=(90, 6)) + numpy.eye(3, 6)[targets]
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(numpy.float32), targets


@pytest.mark.parametrize("strength", [1.0, 30.0])
def test_no_change_of_the_head_lowers_the_loss(strength: float) -> None:
    vectors, targets = problem()
    head = fit_head(vectors, targets, 3, strength)
    best = loss_of(head, vectors, targets, strength)
    random = numpy.random.default_rng(1)
    for _ in range(200):
        change = random.normal(size=head.weight.shape).astype(numpy.float32) * numpy.float32(0.1)
        shift = random.normal(size=3).astype(numpy.float32) * numpy.float32(0.1)
        assert (
            loss_of(Head(head.weight + change, head.bias + shift), vectors, targets, strength) > best - 1e-4
        )


def test_a_start_does_not_change_where_the_search_ends() -> None:
    vectors, targets = problem()
    cold = fit_head(vectors, targets, 3, 10.0)
    warm = fit_head(vectors, targets, 3, 10.0, start=fit_head(vectors, targets, 3, 1.0))
    assert loss_of(warm, vectors, targets, 10.0) == pytest.approx(
        loss_of(cold, vectors, targets, 10.0), abs=1e-4
    )


def test_one_class_needs_no_steps() -> None:
    vectors, _ = problem()
    head = fit_head(vectors, numpy.zeros(90, dtype=numpy.int64), 1, 10.0)
    assert not head.weight.any()


def test_the_gate_ranks_what_is_certain_above_what_is_not() -> None:
    measures = numpy.array(
        [[-0.1, 0.9], [-0.2, 0.8], [-0.1, 0.7], [-2.0, 0.3], [-1.5, 0.2]], dtype=numpy.float32
    )
    inside = numpy.array([1.0, 1, 1, 0, 0])
    gate = fit_gate(measures, inside, numpy.full(5, 0.2), USUAL)
    probability = gate.probability(measures)
    assert probability[:3].min() > 0.9
    assert probability[3:].max() < 0.1


def test_what_the_head_calls_out_of_scope_counts_against_a_message() -> None:
    logits = numpy.array([[4.0, 0, 0], [4, 0, 3], [4, 0, 9]], dtype=numpy.float32)
    space = numpy.eye(3, dtype=numpy.float32)
    around = Surroundings(space, space[:2])
    first, second, third = measure(logits, 2, space, around, ["stranger"])[:, 0]
    assert first - second == pytest.approx(3.0)
    assert second - third == pytest.approx(6.0)
    assert not measure(
        logits[:, :2], 2, space, around, ["stranger"]
    ).any()  # no such class: it decides nothing


def test_another_choice_of_measures_must_be_clearly_better_than_the_usual_one() -> None:
    random = numpy.random.default_rng(0)
    inside = numpy.repeat([1.0, 0.0], 200)
    noise = random.normal(size=(400, 5))
    # The last measure tells nearly everything, the others a little.
    measured = (noise + inside[:, None] * [0.5, 0.5, 0.5, 0.5, 5.0]).astype(numpy.float32)
    weight = numpy.full(400, 1 / 400)
    gate, scores = choose_gate(measured, inside, weight)
    assert gate.measures == WITH_STRANGERS
    assert len(scores) == len(CHOICES)
    equal = numpy.tile(measured[:, :1], 5)
    assert choose_gate(equal, inside, weight, ("nearest",))[0].measures == ("nearest",)


def test_a_measure_that_never_varies_decides_nothing() -> None:
    measures = numpy.array([[0.0, 0.9], [0.0, 0.8], [0.0, 0.2]], dtype=numpy.float32)
    gate = fit_gate(measures, numpy.array([1.0, 1, 0]), numpy.full(3, 1 / 3), USUAL)
    probability = gate.probability(numpy.array([[-9.0, 0.9], [0.0, 0.9]], dtype=numpy.float32))
    assert probability[0] == pytest.approx(probability[1], abs=1e-3)


def test_the_threshold_lies_between_what_to_accept_and_what_to_refuse() -> None:
    probability = numpy.array([0.9, 0.8, 0.4, 0.1])
    assert 0.4 < best_threshold(probability, numpy.array([1.0, 1, -1, -1])) < 0.8
    assert best_threshold(probability, numpy.array([1.0, 1, 1, 1])) < 0.2
    assert best_threshold(probability, numpy.array([-1.0, -1, -1, -1])) > 0.8
