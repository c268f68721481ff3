"""How memory is taken from the system and given back.

With GNU's C library every thread that calls the engine would have a heap of its own, each grown to what a pass once
needed, and long-lived states between short-lived results keep those heaps from shrinking: eight conversations held 250
MB that nobody used. So there is one heap, states of running sequences lie outside of it, and it is tidied at times.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any, Final

_ARENA_MAX: Final = -8
"""`M_ARENA_MAX` of `mallopt`."""


def one_heap() -> None:
    """Let all threads of this process take memory from one heap, where the system's library offers that."""
    if (set_option := getattr(_library(), "mallopt", None)) is not None:
        set_option(_ARENA_MAX, 1)


def tidy_heap() -> None:
    """Give the system back what lies free between living states: GNU's C library keeps it, 200 MB after fifty turns."""
    if (trim := getattr(_library(), "malloc_trim", None)) is not None:
        trim(0)


@functools.cache
def _library() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
