"""The clock and the ids of `agentkit.testing`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from agentkit.testing.clock import FixedClock, SequentialIds


def test_the_clock_stands_still_until_it_is_told_to_move() -> None:
    clock = FixedClock(datetime(2026, 11, 26, 9, 30, tzinfo=timezone(timedelta(hours=1))))
    assert clock() == clock() == datetime(2026, 11, 26, 8, 30, tzinfo=UTC)
    assert clock().tzinfo is UTC
    clock.advance(timedelta(minutes=5))
    assert clock() == datetime(2026, 11, 26, 8, 35, tzinfo=UTC)


def test_the_clock_can_tick() -> None:
    clock = FixedClock(tick=timedelta(seconds=1))
    assert clock() + timedelta(seconds=1) == clock()


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        FixedClock(datetime(2026, 11, 26))  # noqa: DTZ001 - what is tested


def test_ids_count_up_sort_by_age_and_are_version_7() -> None:
    ids = SequentialIds()
    made = [ids() for _ in range(20)]
    assert made[0] == "00000000-0000-7000-8000-000000000001"
    assert made == sorted(made)
    assert {UUID(text).version for text in made} == {7}
