"""An engine that takes no time and says that it took some, for the tests of cases and runs."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.errors import ModelError
from agentkit.models.bench import Answer, Timed
from agentkit.models.protocols import CallTools, GenerationRequest


class ScriptedEngine:
    """Every request takes `seconds`, half of its tokens are forced, and it fails where it is told to.

    Args:
        name: As the report calls it.
        seconds: What each request is said to take.
        asked: Gets its name at every measurement of a call, so that the order of engines can be seen.
        fails_calls: Calls raise an error.
        reuses_prompts: What it says of itself.
        slows_down: It has reference passes, and takes half as long again from each of them on.
    """

    about = "scripted"

    def __init__(
        self,
        name: str = "agentkit",
        seconds: float = 0.5,
        *,
        asked: list[str] | None = None,
        fails_calls: bool = False,
        reuses_prompts: bool = True,
        slows_down: bool = False,
    ) -> None:
        self.name = name
        self.reuses_prompts = reuses_prompts
        self.requests: list[GenerationRequest] = []
        self.closed = False
        self._slows_down = slows_down
        self._seconds = seconds
        self._asked = asked if asked is not None else []
        self._fails_calls = fails_calls

    def ask(self, requests: Sequence[GenerationRequest]) -> Timed:
        self.requests += requests
        if isinstance(requests[0].constraint, CallTools):
            self._asked.append(self.name)
            if self._fails_calls:
                raise ModelError("it cannot call", hint="Nothing helps.")
        answers = [
            Answer(
                "text",
                prompt_tokens=500,
                generated_tokens=request.max_tokens,
                forward_passes=12,
                computed_tokens=60,
            )
            for request in requests
        ]
        return Timed(self._seconds * sum(request.max_tokens for request in requests), tuple(answers))

    def seconds_to_first_token(self) -> float:
        return 3.0

    def reference_pass(self) -> float | None:
        if not self._slows_down:
            return None
        self._seconds *= 1.5
        return 10 * self._seconds

    def peak_memory(self) -> int | None:
        return 2_000_000

    def close(self) -> None:
        self.closed = True
