"""The harness's side of the wire: a worker process as an engine that can be measured."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from agentkit.errors import ModelError
from agentkit.models.bench import Answer, Timed
from agentkit.models.bench.engine import first_turn, last_line, peak_memory_of
from agentkit.models.protocols import GenerationRequest
from benchmarks.wire import Writer

ROOT: Final = Path(__file__).resolve().parents[1]
PATIENCE: Final = 900.0
"""Seconds without an answer after which a worker is ended: no request of the benchmark takes nearly as long."""
_LAST_LINES: Final = 20


class WorkerFailed(ModelError):
    """A worker did not start, died, or did not answer in time."""


class WorkerEngine:
    """A peer in a process of its own; `benchmarks/peers/serve.py` is the other side.

    It is started at once. A worker that fails is started anew by the next request, so that one case that a peer
    cannot do does not cost the others.

    Args:
        name: As the report calls it.
        command: What starts the worker, with its weights.
        writer: Writes the requests down.
        patience: Seconds without an answer after which it is ended.

    Raises:
        WorkerFailed: It does not start.
    """

    def __init__(
        self, name: str, command: Sequence[str], writer: Writer, *, patience: float = PATIENCE
    ) -> None:
        self.name = name
        self._command = command
        self._writer = writer
        self._patience = patience
        self._peak: int | None = None
        self._process: _Process | None = self._started()
        self.about: str = self._process.ready["about"]
        self.reuses_prompts: bool = self._process.ready["reuses_prompts"]

    def ask(self, requests: Sequence[GenerationRequest]) -> Timed:
        """See `agentkit.models.bench.Engine`; the worker itself takes the time."""
        if self._process is None:
            self._process = self._started()
        try:
            answered = self._process.ask([self._writer.wire(request) for request in requests])
        except WorkerFailed:
            self._process = None
            raise
        return Timed(answered["seconds"], tuple(Answer(**answer) for answer in answered["answers"]))

    def reference_pass(self) -> float | None:
        """See `agentkit.models.bench.Engine`."""
        if self._process is None:
            self._process = self._started()
        seconds: float | None = self._process.ask([])["seconds"]
        return seconds

    def seconds_to_first_token(self) -> float:
        """See `agentkit.models.bench.Engine`."""
        asked = [self._writer.wire(first_turn())]
        started = time.perf_counter()
        fresh = self._started()
        fresh.ask(asked)
        seconds = time.perf_counter() - started
        fresh.close()
        return seconds

    def peak_memory(self) -> int | None:
        """See `agentkit.models.bench.Engine`; of the worker that runs now."""
        return peak_memory_of(self._process.ready["process"]) if self._process else None

    def close(self) -> None:
        """See `agentkit.models.bench.Engine`."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def _started(self) -> _Process:
        return _Process(self.name, self._command, self._patience)


class _Process:
    """One run of a worker."""

    def __init__(self, name: str, command: Sequence[str], patience: float) -> None:
        self._name = name
        self._patience = patience
        # Threads that wait must sleep: another engine is being measured meanwhile.
        environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
        try:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise WorkerFailed(
                f"it could not be started: {error}.", hint="Run `make bench` again."
            ) from error
        self._last_words: deque[str] = deque(maxlen=_LAST_LINES)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.ready: dict[str, Any] = self._read()["ready"]

    def ask(self, requests: Sequence[Any]) -> dict[str, Any]:
        """Send requests and wait for their answers."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(requests) + "\n")
            self._process.stdin.flush()
        except OSError:  # it has died; reading says of what
            return self._read()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(self._patience, self._process.kill)
        timer.start()
        started = time.monotonic()
        line = self._process.stdout.readline()
        timer.cancel()
        try:
            value = json.loads(line)
        except ValueError:
            self.close()
            raise self._failure(line, time.monotonic() - started >= self._patience) from None
        return dict(value)

    def _failure(self, line: str, too_late: bool) -> WorkerFailed:
        if too_late:
            why = f"no answer in {self._patience:,.0f} s"
        elif line:
            why = f"it sent what is no JSON: {line[:80]!r}"
        else:
            why = last_line("\n".join(self._last_words))
        return WorkerFailed(why, hint=f"Start the worker of {self._name} by hand to see more.")

    def close(self) -> None:
        """End the process: a worker leaves when its standard input ends."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _listen(self) -> None:
        """Keep the last lines of standard error, and read all so that the worker never waits for a reader."""
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            self._last_words.extend(lines)
