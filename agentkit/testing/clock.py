"""A clock and ids that a test decides: the same in every run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_NOON: Final = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class FixedClock:
    """A clock that stands still until it is told to move.

    Args:
        now: What it shows first; an aware datetime.
        tick: How far it moves on by itself each time it is read.
    """

    def __init__(self, now: datetime = _NOON, tick: timedelta = timedelta(0)) -> None:
        if now.tzinfo is None:
            raise ValueError("the clock needs an aware datetime: datetime(…, tzinfo=UTC)")
        self._now = now
        self._tick = tick

    def __call__(self) -> datetime:
        """The time in UTC; then moves on by `tick`."""
        shown = self._now.astimezone(UTC)
        self._now += self._tick
        return shown

    def advance(self, step: timedelta) -> None:
        """Move on by `step`."""
        self._now += step


class SequentialIds:
    """Ids that count up, in the form of UUIDv7, so that they sort by age as real ones do.

    Args:
        first: Number in the first id.
    """

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def __call__(self) -> str:
        """The next id: `00000000-0000-7000-8000-000000000001` and so on."""
        number = self._next
        self._next += 1
        return f"00000000-0000-7000-8000-{number:012x}"
