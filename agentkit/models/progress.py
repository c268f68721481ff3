"""How long work reports how far it is: the seam between the models and whatever shows a progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Something that shows progress. Tasks come one after another, never nested."""

    def start(self, label: str, total: int, unit: str) -> None:
        """Begin a task.

        Args:
            label: What is being done, for a person: "Fetching qwen2.5-coder-0.5b".
            total: How much there is to do; 0 where it is not known.
            unit: What is counted: `bytes`, or a plural noun.
        """
        ...

    def advance(self, amount: int) -> None:
        """Say that `amount` more is done."""
        ...

    def finish(self) -> None:
        """End the task; also called when it failed."""
        ...


class Silent:
    """Progress that nobody looks at."""

    def start(self, label: str, total: int, unit: str) -> None:
        """Ignore it."""

    def advance(self, amount: int) -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""


@contextmanager
def task(progress: Progress, label: str, total: int, unit: str = "bytes") -> Iterator[None]:
    """A task that is finished whatever happens, so that no half-drawn bar stays on the screen."""
    progress.start(label, total, unit)
    try:
        yield
    finally:
        progress.finish()
