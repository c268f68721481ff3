"""A few prefix caches over one model, so that prompts of different kinds do not push each other out.

A turn of an agent alternates between prompts: the tools of one intent, the examples of the judge, a conversation.
Each kind begins with its own static part; with one cache the parts would be computed anew every time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

from agentkit.models.decode import PrefixCache

_MOST: Final = 4
"""Sequences kept: 28 kB a token for a model of 1.5 billion parameters, so 200 MB when each has 2,000 tokens."""
_WORTH_KEEPING: Final = 0.5
"""A cache is taken over by a prompt that keeps at least this share of it; otherwise another one is."""


class PrefixPool:
    """Chooses the cache that a prompt goes through.

    Args:
        model: A transformers causal language model in evaluation mode; the caches use it one at a time.
        most: How many sequences are kept; the least recently used one makes room.
    """

    def __init__(self, model: Any, most: int = _MOST) -> None:
        self._model = model
        self._most = most
        self._passes = threading.Lock()
        self._choice = threading.Lock()
        self._caches: list[PrefixCache] = []  # least recently used first

    def for_prompt(self, prompt: Sequence[int]) -> PrefixCache:
        """The cache that shares most with `prompt`; a fresh one where that would cost another more than it saves.

        Args:
            prompt: Token ids.
        """
        with self._choice:
            best = max(self._caches, key=lambda cache: cache.shared_with(prompt), default=None)
            if best is None or best.shared_with(prompt) < _WORTH_KEEPING * best.length:
                if len(self._caches) >= self._most:
                    self._caches.pop(0)
                best = PrefixCache(self._model, self._passes)
            else:
                self._caches.remove(best)
            self._caches.append(best)
            return best
