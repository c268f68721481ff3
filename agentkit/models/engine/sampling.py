"""How the next token is chosen where the constraint leaves a choice."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from agentkit.models.protocols import Sampling


class Chooser:
    """Picks the next token: the most probable one, or one drawn at random."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = torch.Generator()
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed)

    def __call__(self, logits: torch.Tensor, allowed: torch.Tensor, written: Sequence[int]) -> int:
        """The next token.

        Args:
            logits: float32 [vocabulary].
            allowed: bool [vocabulary], or shorter: what lies beyond it is not allowed.
            written: Tokens of the reply so far, for the repetition penalty.
        """
        sampling = self._sampling
        if sampling.repetition_penalty != 1.0 and written:
            # Keskar et al. 2019, arXiv 1909.05858: dividing a positive and multiplying a negative logit
            # makes the token less likely in both cases.
            seen = torch.tensor(sorted(set(written)))
            penalty = sampling.repetition_penalty
            values = logits[seen]
            logits = logits.index_copy(0, seen, torch.where(values > 0, values / penalty, values * penalty))
        logits = logits[: len(allowed)]
        if sampling.temperature <= 0:
            likeliest = int(logits.argmax())
            if allowed[likeliest]:  # nearly always, and hiding the others takes longer
                return likeliest
        logits = logits.masked_fill(~allowed[: len(logits)], -torch.inf)
        if sampling.temperature <= 0:
            return int(logits.argmax())
        probabilities = torch.softmax(logits / sampling.temperature, dim=-1)  # [vocabulary]
        kept = _nucleus(probabilities, sampling)
        return int(torch.multinomial(kept, 1, generator=self._random))


def _nucleus(probabilities: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """`probabilities`, [vocabulary], with those of tokens that are not to be drawn set to 0."""
    if sampling.min_p > 0.0:  # Nguyen et al. 2024, arXiv 2407.01082
        least = sampling.min_p * probabilities.max()
        probabilities = probabilities.masked_fill(probabilities < least, 0.0)
    if sampling.top_k <= 0 and sampling.top_p >= 1.0:
        return probabilities
    ordered, order = probabilities.sort(descending=True, stable=True)
    outside = torch.zeros_like(ordered, dtype=torch.bool)
    if sampling.top_k > 0:  # Fan et al. 2018, arXiv 1805.04833
        outside[sampling.top_k :] = True
    if sampling.top_p < 1.0:
        # Holtzman et al. 2020, arXiv 1904.09751: the smallest set of tokens that reaches top_p.
        outside |= ordered.cumsum(-1) - ordered >= sampling.top_p  # the first token always stays
    return torch.zeros_like(probabilities).scatter(0, order, ordered.masked_fill(outside, 0.0))
