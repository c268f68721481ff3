"""Guesses at what comes next, read from what is already there (prompt lookup, Saxena 2023).

A support turn quotes: order numbers, names, sentences of its evidence. When the last tokens have occurred before, what
followed them then is fed along with the next token, and the pass that would have given one token confirms several.
A wrong guess costs next to nothing on a processor, and never changes what is written.

A desk also says the same sentences all day. What the prompt does not tell is therefore looked up in the replies that
this engine wrote before (retrieval of drafts: He et al. 2023, arXiv 2311.08252), whoever they were for: a guess shows
nowhere unless the model itself says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_LONGEST_KEY: Final = 3
_SHORTEST_KEY: Final = 2
_MOST: Final = 7
"""Eight rows cost about what one costs: the token that is certain and seven guesses."""
_REMEMBERED: Final = 20_000
"""Tokens of earlier replies: some hundred replies, four megabytes."""


class PromptLookup:
    """Drafts for one reply.

    Args:
        tokens: What was there before the reply.
        earlier: Replies that were written before.
    """

    def __init__(self, tokens: Sequence[int], earlier: EarlierReplies | None = None) -> None:
        self._runs = _Runs()
        self._earlier = earlier
        self.extend(tokens)

    def extend(self, tokens: Sequence[int]) -> None:
        """Take note of tokens that were written."""
        self._runs.extend(tokens)

    def draft(self, most: int = _MOST) -> list[int]:
        """What may follow, at most `most` tokens; empty if the last tokens are new."""
        last = self._runs.tokens[-_LONGEST_KEY:]
        # The prompt before other replies, however short its run is: what is filled into their sentences differs.
        for runs in (self._runs, self._earlier.runs if self._earlier else None):
            for length in range(_LONGEST_KEY, _SHORTEST_KEY - 1, -1):
                if runs is not None and (found := runs.after(last[-length:], most)):
                    return found
        return []


class EarlierReplies:
    """The last replies of an engine, in memory only."""

    def __init__(self) -> None:
        self.runs = _Runs()

    def add(self, tokens: Sequence[int]) -> None:
        """Take note of a whole reply."""
        if len(self.runs.tokens) + len(tokens) > _REMEMBERED:
            kept = self.runs.tokens[-_REMEMBERED // 2 :]
            self.runs = _Runs()
            self.runs.extend(kept)
        self.runs.extend(tokens)


class _Runs:
    """Tokens, and where each short run of them was seen last."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        # Where the token after the last occurrence of each run stands.
        self._after: dict[tuple[int, ...], int] = {}

    def extend(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            # Entered one token late, so that the run at the very end is not found as its own predecessor.
            for length in range(_SHORTEST_KEY, _LONGEST_KEY + 1):
                if len(self.tokens) >= length:
                    self._after[tuple(self.tokens[-length:])] = len(self.tokens)
            self.tokens.append(token)

    def after(self, run: Sequence[int], most: int) -> list[int]:
        start = self._after.get(tuple(run))
        return [] if start is None else self.tokens[start : start + most]
