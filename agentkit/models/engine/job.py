"""What an engine works on: a sequence of tokens that grows by what the model's logits say."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import torch

    from agentkit.models.engine.adapters import Adapter
    from agentkit.models.protocols import FinishReason

Item = TypeVar("Item")


@dataclass(frozen=True)
class Limits:
    """When to stop.

    Args:
        max_tokens: Most tokens to write.
        deadline: `time.monotonic()` value.
        cancel: Set by another thread.
    """

    max_tokens: int
    deadline: float | None = None
    cancel: threading.Event | None = None

    def interrupted(self) -> FinishReason | None:
        """Why to stop now, if there is a reason."""
        if self.cancel is not None and self.cancel.is_set():
            return "cancelled"
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return "deadline"
        return None


@dataclass
class Work:
    """What was computed for one reply or choice.

    Args:
        forward_passes: Passes through the model in which it took part.
        cached_tokens: Tokens of the prompt whose states were there already; None before the first pass.
        computed_tokens: Tokens that the passes saw, guesses included.
    """

    forward_passes: int = 0
    computed_tokens: int = 0
    cached_tokens: int | None = None


class Job(ABC, Generic[Item]):
    """One request in the engine. Only the thread that drives the engine touches it, but for `outbox`.

    Args:
        tokens: The prompt, at least one token.
        limits: When to stop early.
        work: Counts what it costs.
    """

    def __init__(self, tokens: Sequence[int], limits: Limits, work: Work) -> None:
        self.tokens = list(tokens)
        """What the model is to see."""
        self.seen = 0
        """For how many of `tokens`, from the start, the states are right."""
        self.keep = 1
        """Logits are wanted after so many of the last tokens."""
        self.private = 0
        """The states of so many of the last tokens serve no other request."""
        self.adapter: Adapter | None = None
        """Added to the model's products for the last `keep` tokens, which are private then."""
        self.static = 0
        """So many of `tokens`, from the start, are the same in every process and may be kept on disk."""
        self.limits = limits
        self.work = work
        self.outbox: deque[Item] = deque()
        self.error: Exception | None = None
        self.ended = False

    @property
    def missing(self) -> int:
        """How many tokens the model has to be fed."""
        return len(self.tokens) - min(self.seen, len(self.tokens) - self.keep)

    def propose(self, most: int) -> None:
        """Append at most so many guesses to `tokens`; called before each pass that ends the sequence."""

    @abstractmethod
    def advance(self, logits: torch.Tensor) -> None:
        """Go on: the model has seen `tokens`; float32 [keep, vocabulary]."""

    @abstractmethod
    def interrupt(self, reason: FinishReason) -> None:
        """End now."""
