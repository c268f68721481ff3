"""Medians, spreads and ratios."""

from __future__ import annotations

import pytest

from agentkit.models.bench.figures import ratio, spread


def test_a_spread_has_the_middle_and_both_ends() -> None:
    found = spread([3.0, 1.0, 10.0])
    assert (found.median, found.least, found.greatest, found.count) == (3.0, 1.0, 10.0, 3)


def test_the_middle_of_two_lies_between_them() -> None:
    assert spread([1.0, 2.0]).median == 1.5


def test_a_ratio_compares_round_by_round() -> None:
    # Both were four times as slow in the second round: the ratio does not see it.
    found = ratio([1.0, 4.0], [2.0, 8.0])
    assert found is not None
    assert (found.least, found.greatest) == (0.5, 0.5)


def test_a_round_that_one_of_them_missed_does_not_count() -> None:
    found = ratio([1.0, None, 3.0], [2.0, 5.0, 3.0])
    assert found is not None
    assert (found.least, found.greatest, found.count) == (0.5, 1.0, 2)


def test_a_peer_that_was_measured_once_serves_all_rounds() -> None:
    found = ratio([1.0, 2.0, 3.0], [4.0])
    assert found is not None
    assert (found.median, found.count) == (0.5, 3)


@pytest.mark.parametrize(
    ("of", "to"), [([], [1.0]), ([1.0], []), ([None], [1.0]), ([1.0, None] * 2, [None, 1.0] * 2)]
)
def test_without_a_common_round_there_is_no_ratio(of: list[float | None], to: list[float | None]) -> None:
    assert ratio(of, to) is None
