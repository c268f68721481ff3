"""A prompt above which something may be printed while a person types."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable


class LivePrompt:
    """Reads lines; other threads print above the line that is being typed, which stays as it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prompt: str | None = None

    def read(self, prompt: str) -> str:
        """One line.

        Raises:
            EOFError: The input is over.
            KeyboardInterrupt: The person typed Ctrl-C.
        """
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, line editing and history where Python has it
        self._prompt = prompt
        try:
            return input(prompt)
        finally:
            self._prompt = None

    def above(self, show: Callable[[], None]) -> None:
        """Print something without losing what is being typed."""
        with self._lock:
            prompt = self._prompt
            if prompt is not None:
                sys.stdout.write("\r\x1b[2K")
            show()
            if prompt is not None:
                sys.stdout.write(prompt + _typed())
            sys.stdout.flush()


def _typed() -> str:
    with contextlib.suppress(ImportError):
        import readline

        return readline.get_line_buffer()
    return ""


class Watcher(threading.Thread):
    """Looks again and again for something new, until it is stopped.

    Args:
        look: Looks once.
        seconds: Between two looks.
    """

    def __init__(self, look: Callable[[], None], seconds: float = 0.4) -> None:
        super().__init__(daemon=True, name="watcher")
        self._look = look
        self._seconds = seconds
        self._over = threading.Event()

    def run(self) -> None:
        """Look until it is over."""
        while not self._over.wait(self._seconds):
            self._look()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self._over.set()
        self.join()
