"""A generator whose weights are loaded when they are needed, or while nobody needs the processor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from agentkit.models.protocols import StateReader

if TYPE_CHECKING:
    from agentkit.messages import Message, ToolSpec
    from agentkit.models.protocols import (
        ChoiceRequest,
        Delta,
        GenerationRequest,
        Generator,
        StateRequest,
        Vectors,
    )


class LazyGenerator:
    """Implements `Generator`; everything but its name waits until the weights are there.

    Many turns need no generator (a stored answer, a call with one possibility), so nobody should wait for one before
    the first. Loading does not start by itself: it keeps Python's interpreter lock, so that it would delay who
    loads something else at the same time just as much as if it came first.

    Args:
        name: The reference, known before the weights are.
        load: Loads the generator.
    """

    def __init__(self, name: str, load: Callable[[], Generator]) -> None:
        self.name = name
        self._load = load
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._loading: Future[Generator] | None = None

    @property
    def context_length(self) -> int:
        """See `Generator`; waits."""
        return self._loaded().context_length

    def start_loading(self) -> None:
        """Load in another thread from now on; returns at once. Call it where the program waits for a person."""
        with self._lock:
            if self._loading is None:
                self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"load {self.name}")
                self._loading = self._thread.submit(self._load)
                self._thread.shutdown(wait=False)  # it ends when the weights are there

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """See `Generator`; waits. Raises what loading raised."""
        return self._loaded().count_tokens(messages, tools)

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`; waits. Raises what loading raised."""
        return self._loaded().generate(request)

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """See `Generator`; waits. Raises what loading raised."""
        return self._loaded().choose(request)

    def state(self, request: StateRequest) -> Vectors:
        """See `StateReader`; waits. Raises what loading raised."""
        loaded = self._loaded()
        assert isinstance(loaded, StateReader)  # only models of this process are loaded lazily
        return loaded.state(request)

    def close(self) -> None:
        """See `Generator`; waits for a loading that has begun."""
        if self._thread is not None and self._loading is not None:
            self._thread.shutdown()
            if self._loading.exception() is None:
                self._loading.result().close()

    def _loaded(self) -> Generator:
        self.start_loading()
        assert self._loading is not None
        return self._loading.result()
