"""What is read from a model without writing anything: probabilities of continuations, and hidden vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from agentkit.models.engine.adapters import Adapter
from agentkit.models.engine.job import Job, Limits, Work
from agentkit.models.protocols import FinishReason

_MOST_READ: Final = 64
"""Tokens whose vectors are wanted at once: not more than the smallest block that a prompt is computed in."""


class Reading(Job[torch.Tensor]):
    """Hidden vectors of a prompt, in the engine of a network's lower layers; one item, float32 [2, d]: that of the last
    token, and the mean over the last ones.

    Args:
        prompt: Token ids, at least one.
        read: Over how many of them the mean is taken; 64 at most.
        work: Counts what this costs.
        adapter: Added to the model's products for these last ones; None: nothing.
    """

    def __init__(self, prompt: Sequence[int], read: int, work: Work, adapter: Adapter | None = None) -> None:
        super().__init__(prompt, Limits(0), work)
        self.keep = max(1, min(read, _MOST_READ, len(prompt)))
        self.private = self.keep
        self.adapter = adapter

    def advance(self, logits: torch.Tensor) -> None:
        """See `Job`; hidden vectors take the place of logits: float32 [keep, d]."""
        self.outbox.append(torch.stack((logits[-1], logits.mean(0))))
        self.ended = True

    def interrupt(self, reason: FinishReason) -> None:
        """See `Job`; this ends one whose caller has gone away."""
        self.ended = True


class Scoring(Job[list[float]]):
    """Natural log-probability of each option as the continuation of a prompt; one item when all are known.

    The first token of every option is read from the logits after the prompt; an option of several tokens is then
    fed after it, on the prompt's states, and its further tokens are read from there.

    Args:
        prompt: Token ids, at least one.
        options: Token ids of each option, at least one each. No option is a prefix of another.
        first_of: Sets of tokens; of each set, the probability that one of them comes first is added to the scores,
            after those of the options.
        work: Counts what this costs.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        options: Sequence[Sequence[int]],
        *,
        first_of: Sequence[Sequence[int]] = (),
        work: Work,
    ) -> None:
        super().__init__(prompt, Limits(0), work)
        self._prompt = list(prompt)
        self._options = [list(option) for option in options]
        self._first_of = [sorted(set(tokens)) for tokens in first_of]
        self._scores: list[float] = []
        self._alternatives: list[float] = []
        self._current = -1  # the option whose tokens are being fed; -1: the prompt

    def advance(self, logits: torch.Tensor) -> None:
        """See `Job`."""
        probabilities = torch.log_softmax(logits, dim=-1)  # [keep, vocabulary]
        if self._current < 0:
            self._scores = [float(probabilities[-1, option[0]]) for option in self._options]
            self._alternatives = [float(probabilities[-1, tokens].logsumexp(-1)) for tokens in self._first_of]
        else:
            rest = torch.tensor(self._options[self._current][1:])[:, None]  # [keep, 1]
            self._scores[self._current] += float(probabilities.gather(1, rest).sum())
        self._next()

    def interrupt(self, reason: FinishReason) -> None:
        """See `Job`; a choice has no limits, so this ends one whose caller has gone away."""
        self.ended = True

    def _next(self) -> None:
        """Feed the next option of several tokens; end if there is none."""
        self._current += 1
        while self._current < len(self._options) and len(self._options[self._current]) == 1:
            self._current += 1
        self.seen = min(self.seen, len(self._prompt))
        if self._current == len(self._options):
            self.tokens = self._prompt
            self.outbox.append(self._scores + self._alternatives)
            self.ended = True
        else:
            option = self._options[self._current]
            self.tokens = self._prompt + option[:-1]
            self.keep = len(option) - 1
