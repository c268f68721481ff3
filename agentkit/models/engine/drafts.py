"""Guesses at what comes next, read from what is already there (prompt lookup, Saxena 2023).

A support turn quotes: order numbers, names, sentences of its evidence. When the last tokens have occurred before, what
followed them then is fed along with the next token, and the pass that would have given one token confirms several.
A wrong guess costs next to nothing on a processor, and never changes what is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_LONGEST_KEY: Final = 3
_SHORTEST_KEY: Final = 2
_MOST: Final = 7
"""Eight rows cost about what one costs: the token that is certain and seven guesses."""


class PromptLookup:
    """Drafts for one reply.

    Args:
        tokens: What was there before the reply.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        # Where the token after the last occurrence of each run stands.
        self._after: dict[tuple[int, ...], int] = {}
        self.extend(tokens)

    def extend(self, tokens: Sequence[int]) -> None:
        """Take note of tokens that were written."""
        for token in tokens:
            # Entered one token late, so that the run at the very end is not found as its own predecessor.
            for length in range(_SHORTEST_KEY, _LONGEST_KEY + 1):
                if len(self._tokens) >= length:
                    self._after[tuple(self._tokens[-length:])] = len(self._tokens)
            self._tokens.append(token)

    def draft(self, most: int = _MOST) -> list[int]:
        """What may follow, at most `most` tokens; empty if the last tokens are new."""
        for length in range(_LONGEST_KEY, _SHORTEST_KEY - 1, -1):
            start = self._after.get(tuple(self._tokens[-length:]))
            if start is not None:
                return self._tokens[start : start + most]
        return []
