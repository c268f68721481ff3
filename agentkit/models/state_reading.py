"""Hidden vectors of a prompt, computed by the lower layers of a network and nothing above them.

What a model makes of a question is plainest in the middle of its layers; those above turn it into words. So a judge
that reads vectors needs two thirds of the work of one that reads probabilities, and is told more (`dev/log.md`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentkit.errors import ContextOverflow, ModelError
from agentkit.messages import Message, user
from agentkit.models.protocols import StateRequest

if TYPE_CHECKING:
    from agentkit.models.engine import Adapter, Engine, Network
    from agentkit.models.engine.prefix_files import PrefixFiles
    from agentkit.models.protocols import Vectors

_KEPT_BYTES: Final = 64 * 1024 * 1024
"""States kept between readings: those of the examples, and of the passages that were asked about last."""


class StateReading:
    """What a generator inherits to implement `StateReader`; threads may share it.

    Args:
        network: The whole network.
        files: Where the states of static prompts are kept between processes; None: nowhere.
        prompt: The token ids of messages, up to where a reply would begin.
        most_tokens: Longest prompt.
    """

    def __init__(
        self,
        network: Network,
        files: PrefixFiles | None,
        prompt: Callable[[Sequence[Message]], list[int]],
        most_tokens: int,
    ) -> None:
        self._network: Network | None = network
        self._files = files
        self._prompt_of = prompt
        self._most_tokens = most_tokens
        self._engines: dict[int, Engine] = {}
        self._adapters: dict[Path, Adapter] = {}
        self._reading_lock = threading.Lock()

    def state(self, request: StateRequest) -> Vectors:
        """See `StateReader`."""
        from agentkit.models.engine import Reading, Work, shared_length

        prompt = self._prompt_of(request.messages)
        if len(prompt) > self._most_tokens:
            raise ContextOverflow(
                f"the question has {len(prompt)} tokens, the window {self._most_tokens}",
                hint="Shorten what is asked about.",
            )
        other = [*request.messages[:-1], user(request.unread)]
        unread = shared_length(prompt, self._prompt_of(other))
        job = Reading(prompt, len(prompt) - unread, Work(), self._adapter_of(request.adapter))
        if request.static:
            job.static = shared_length(prompt, self._prompt_of(request.messages[: request.static]))
        (vectors,) = self._engine_of(request.layer).submit(job)
        found: Vectors = vectors.numpy()
        return found

    def close(self) -> None:
        """Free the weights; later readings fail."""
        self._network = None
        self._engines.clear()

    def _adapter_of(self, path: Path | None) -> Adapter | None:
        from agentkit.models.engine import Adapter

        if path is None:
            return None
        with self._reading_lock:
            if path not in self._adapters:
                self._adapters[path] = Adapter.load(path)
            return self._adapters[path]

    def _engine_of(self, layers: int) -> Engine:
        from agentkit.models.engine import DecoderNetwork, Engine

        if self._network is None:
            raise RuntimeError("the generator has been closed")

        if not isinstance(self._network, DecoderNetwork):
            raise ModelError(
                "the vectors of this family of models cannot be read",
                hint="Take a model of the Llama or Qwen2 family.",
            )
        with self._reading_lock:
            if layers not in self._engines:
                lower = self._network.lower(layers)
                files = self._files.of(f"{layers} layers") if self._files is not None else None
                self._engines[layers] = Engine(lower, _KEPT_BYTES, files)
            return self._engines[layers]
