"""A generator that loads while its program already does something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentkit.messages import Message, ToolSpec
    from agentkit.models.protocols import ChoiceRequest, Delta, GenerationRequest, Generator


class BackgroundGenerator:
    """Implements `Generator`; everything but its name waits until the weights are there.

    Many first turns need no generator (a stored answer, a call with one possibility), so nobody should wait for one.

    Args:
        name: The reference, known before the weights are.
        load: Loads the generator; runs in a thread that starts now.
    """

    def __init__(self, name: str, load: Callable[[], Generator]) -> None:
        self.name = name
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"load {name}")
        self._loading = self._thread.submit(load)
        self._thread.shutdown(wait=False)  # it ends when the weights are there

    @property
    def context_length(self) -> int:
        """See `Generator`; waits."""
        return self._wait().context_length

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """See `Generator`; waits. Raises what loading raised."""
        return self._wait().count_tokens(messages, tools)

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`; waits. Raises what loading raised."""
        return self._wait().generate(request)

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """See `Generator`; waits. Raises what loading raised."""
        return self._wait().choose(request)

    def close(self) -> None:
        """See `Generator`; waits for the loading thread, so that none is left behind."""
        self._thread.shutdown()
        if self._loading.exception() is None:
            self._loading.result().close()

    def _wait(self) -> Generator:
        return self._loading.result()
