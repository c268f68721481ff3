"""Threads that run tools one after another: to start a new one for every call costs more than most calls.

They are daemons, so that a tool that never ends does not keep the process; a thread that is given up is simply not
used again before it is free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

_IDLE_SECONDS: Final = 5.0  # after which a thread without work ends
_free: Final[list[_Worker]] = []


def run_in_thread(action: Callable[[], None]) -> None:
    """Run an action beside the caller.

    Args:
        action: Raises nothing.

    Raises:
        RuntimeError: The system gives no further thread.
    """
    worker = _free_worker()
    if worker is None:
        worker = _Worker()
        worker.start()
    worker.actions.put(action)


def _free_worker() -> _Worker | None:
    with suppress(IndexError):
        while True:
            worker = _free.pop()
            if worker.is_alive():  # not those of a process that was forked
                return worker
    return None


class _Worker(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="agentkit tool", daemon=True)
        self.actions: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def run(self) -> None:
        while (action := self._next()) is not None:
            action()
            del action  # what it holds is free while the thread waits
            _free.append(self)

    def _next(self) -> Callable[[], None] | None:
        try:
            return self.actions.get(timeout=_IDLE_SECONDS)
        except Empty:
            try:
                _free.remove(self)
            except ValueError:  # it was chosen at this very moment
                return self.actions.get()
            return None
