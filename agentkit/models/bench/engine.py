"""What is measured: an engine that answers requests, and agentkit's generator in this process as one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

from agentkit.errors import ModelError
from agentkit.models.bench.desk import load_desk
from agentkit.models.load import load_generator
from agentkit.models.local_generator import LocalGenerator
from agentkit.models.protocols import Finished, GenerationRequest, Generator

AGENTKIT: Final = "agentkit"
_DISTRIBUTION: Final = "agentkit-local"
REFERENCE: Final = "Where is my order?"
"""Some six tokens, as many as most passes of a call see."""


@dataclass(frozen=True)
class Answer:
    """What one request gave.

    Args:
        text: What was written.
        prompt_tokens: Length of the prompt.
        cached_tokens: Prompt tokens that were not computed again; None where the engine does not say.
        generated_tokens: Tokens written, forced ones included.
        forward_passes: Passes through the model; None where the engine does not say.
        computed_tokens: Tokens that they saw, guesses included; None where the engine does not say.
    """

    text: str
    prompt_tokens: int
    generated_tokens: int
    cached_tokens: int | None = None
    forward_passes: int | None = None
    computed_tokens: int | None = None


@dataclass(frozen=True)
class Timed:
    """Answers, in the order of their requests, and the seconds until the last one was there."""

    seconds: float
    answers: tuple[Answer, ...]


class Engine(Protocol):
    """Something that can be measured."""

    @property
    def name(self) -> str:
        """As the report calls it."""
        ...

    @property
    def about(self) -> str:
        """Its version and what else tells runs apart."""
        ...

    @property
    def reuses_prompts(self) -> bool:
        """Whether a prompt that begins as an earlier one did costs less."""
        ...

    def ask(self, requests: Sequence[GenerationRequest]) -> Timed:
        """Answer requests; several at once if the engine can.

        Raises:
            AgentKitError: A request was not answered.
        """
        ...

    def seconds_to_first_token(self) -> float:
        """Seconds from the start of a fresh process to the first token of the desk's first turn.

        Raises:
            AgentKitError: There was no answer.
        """
        ...

    def reference_pass(self) -> float | None:
        """Seconds of one pass over `REFERENCE`, nothing reused or kept; None where the engine has no such pass."""
        ...

    def peak_memory(self) -> int | None:
        """Most bytes that the process held in memory so far; None where the system does not say."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class OwnEngine:
    """agentkit's generator in this process.

    Args:
        model: Catalogue name, folder or Hugging Face id.
    """

    name = AGENTKIT
    reuses_prompts = True

    def __init__(self, model: str) -> None:
        self.about = version(_DISTRIBUTION)
        self._model = model
        self._generator: Generator = load_generator(model)

    def ask(self, requests: Sequence[GenerationRequest]) -> Timed:
        """See `Engine`."""
        started = time.perf_counter()
        if len(requests) == 1:
            answers = [self._answer(requests[0])]
        else:
            with ThreadPoolExecutor(len(requests)) as threads:
                answers = list(threads.map(self._answer, requests))
        return Timed(time.perf_counter() - started, tuple(answers))

    def _answer(self, request: GenerationRequest) -> Answer:
        *_, last = self._generator.generate(request)
        assert isinstance(last, Finished)
        usage = last.usage
        return Answer(
            text=last.text,
            prompt_tokens=usage.prompt_tokens,
            generated_tokens=usage.generated_tokens,
            cached_tokens=usage.cached_tokens,
            forward_passes=usage.forward_passes,
            computed_tokens=usage.computed_tokens,
        )

    def seconds_to_first_token(self) -> float:
        """See `Engine`."""
        started = time.perf_counter()
        command = [sys.executable, "-c", _FRESH, self._model]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            answered = process.stdout.readline()
            seconds = time.perf_counter() - started
            _, said = process.communicate()
        if not answered:
            raise ModelError(
                f"A fresh process did not answer: {last_line(said)}", hint="Run `agentkit doctor`."
            )
        return seconds

    def reference_pass(self) -> float | None:
        """See `Engine`."""
        if not isinstance(self._generator, LocalGenerator):
            return None
        started = time.perf_counter()
        self._generator.pass_over(REFERENCE)
        return time.perf_counter() - started

    def peak_memory(self) -> int | None:
        """See `Engine`."""
        return peak_memory_of(os.getpid())

    def close(self) -> None:
        """See `Engine`."""
        self._generator.close()


_FRESH: Final = "import sys; from agentkit.models.bench.engine import answer_once; answer_once(sys.argv[1])"


def answer_once(model: str) -> None:
    """Load a model, answer the desk's first turn with one token, and say so on standard output.

    Args:
        model: Catalogue name, folder or Hugging Face id.
    """
    engine = OwnEngine(model)
    engine.ask([first_turn()])
    sys.stdout.write("answered\n")
    sys.stdout.flush()
    engine.close()


def first_turn() -> GenerationRequest:
    """What a fresh process is asked: the first turn of the desk, one token of its reply."""
    desk = load_desk()
    return desk.first_token(desk.history(0), 0)


def peak_memory_of(process: int) -> int | None:
    """Most bytes of memory that a running process held so far (VmHWM); None where the system does not say.

    Args:
        process: Its number.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text("utf-8")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(line.split()[1]) * 1024 if line else None


def last_line(text: str) -> str:
    """The last line that says something: where a Python program names its error."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
