"""The default sources of ids and times; `SqliteStore.open` takes others, for tests that need fixed ones."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Gives the present time, aware and in UTC."""

Ids: TypeAlias = Callable[[], str]
"""Gives a new id, never the same twice."""

_COUNTER_BITS: Final = 12
_RANDOM_BITS: Final = 62


def utc_now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


class UuidSevens:
    """Makes UUIDs of version 7 (RFC 9562, section 5.7): a millisecond, a counter, 62 random bits.

    The counter of method 1 (section 6.2) keeps the ids of one process in order within a millisecond, and when
    the clock is set back. So an id sorts where it was made and new rows go to the end of an index.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0  # milliseconds and counter as one number

    def __call__(self) -> str:
        """A new id, greater than all before it."""
        with self._lock:
            self._last = max(self._last + 1, (time.time_ns() // 1_000_000) << _COUNTER_BITS)
            milliseconds, counter = divmod(self._last, 1 << _COUNTER_BITS)
        value = milliseconds << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | secrets.randbits(_RANDOM_BITS)
        digits = f"{value:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


new_id: Final = UuidSevens()
"""The ids of this process."""
