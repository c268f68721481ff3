"""Progress bars on standard error, so that standard output stays clean."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class BarProgress:
    """Shows each piece of long work as a bar with the time left: `agentkit.models.progress.Progress`.

    On a pipe it prints one line a piece instead.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._task: TaskID | None = None

    def start(self, label: str, total: int, unit: str) -> None:
        """Begin a piece of work of `total` units (`bytes` or a plural noun)."""
        self.finish()
        if not self._console.is_terminal:
            self._console.print(f"{label} …", markup=False, highlight=False)
            return
        amount = (
            DownloadColumn()
            if unit == "bytes"
            else TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit)
        )
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            amount,
            TimeRemainingColumn(),
            console=self._console,
        )
        self._bars.start()
        self._task = self._bars.add_task(label, total=total)

    def advance(self, amount: int) -> None:
        """`amount` more units are done."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, amount)

    def finish(self) -> None:
        """The piece of work is over."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._task = None
