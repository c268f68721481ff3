"""The one decode loop: token ids in, tokens out.

    prompt ids ─► prefill (what the cache lacks) ─► logits ─► mask ─► choose ─► forced tokens ─► forward ─► …

The model is any transformers causal language model on one sequence (batch 1). The constraint says which
tokens may come; where only one can, it is taken without looking at the model and fed together with its
successors in the forward pass of the next free token: on a processor, eight tokens cost about as much as
one.

`PrefixCache` keeps the key-value states of one sequence (`prefix_pool` keeps a few). The next prompt
reuses the tokens that it shares with it from the start, which is most of a conversation.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from agentkit.models.protocols import FinishReason, Sampling

if TYPE_CHECKING:
    from agentkit.models.constraints import TokenMatcher

_PREFILL_TOKENS: Final = 512
"""Prompt tokens per forward pass: about a second of work, so that a cancelled prompt stops within a
second."""

_LOOP_TOKENS: Final = 24
"""A line of a table or a list of equal numbers may repeat a token; this many repeated ones are a loop."""
_LONGEST_PERIOD: Final = 24
"""A sentence of some fifteen words."""


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
        forward_passes: Passes through the model.
        cached_tokens: Tokens of the prompt whose states were there already; None before the first pass.
    """

    forward_passes: int = 0
    cached_tokens: int | None = None


class PrefixCache:
    """A model with the key-value states of the last sequence that went through it.

    Safe to use from several threads, and by several replies in turn: whoever comes next reuses what the
    sequences share and computes the rest.

    Args:
        model: A transformers causal language model in evaluation mode.
        lock: Held during a pass; caches of one model share it.
    """

    def __init__(self, model: Any, lock: threading.Lock | None = None) -> None:
        self._model = model
        self._tokens: list[int] = []
        self._states: Any = None
        self._final: torch.Tensor | None = None  # float32 [1, vocabulary]: logits after the last of `_tokens`
        self._lock = lock or threading.Lock()

    @property
    def length(self) -> int:
        """How many tokens the states are of."""
        return len(self._tokens)

    def shared_with(self, sequence: Sequence[int]) -> int:
        """How many tokens a sequence shares with the states, from the start."""
        pairs = enumerate(zip(self._tokens, sequence, strict=False))
        return next((i for i, (known, wanted) in pairs if known != wanted), min(self.length, len(sequence)))

    def logits(
        self, sequence: Sequence[int], *, work: Work, limits: Limits | None = None, keep: int = 1
    ) -> torch.Tensor | None:
        """Logits after the last `keep` tokens of a sequence.

        Args:
            sequence: Token ids, at least `keep`.
            work: Counts what this costs.
            limits: Looked at between blocks of a long sequence.
            keep: For how many of the last positions.

        Returns:
            float32 [keep, vocabulary], or None if a limit interrupted it.
        """
        with self._lock, torch.inference_mode():
            if keep == 1 and self._final is not None and self._tokens == list(sequence):
                # Asked again, for example by a reply that follows a choice between replies.
                work.cached_tokens = len(sequence) if work.cached_tokens is None else work.cached_tokens
                return self._final
            shared = self._share(sequence, len(sequence) - keep)
            if work.cached_tokens is None:
                work.cached_tokens = shared
            last = len(sequence) - keep
            for start in range(shared, last, _PREFILL_TOKENS):
                if limits is not None and limits.interrupted():
                    return None
                end = min(start + _PREFILL_TOKENS, last)
                # The last block is fed together with the positions that are wanted.
                tokens = sequence[start:] if end == last else sequence[start:end]
                output = self._feed(tokens, keep)
                work.forward_passes += 1
                if end == last:
                    return output
            work.forward_passes += 1
            return self._feed(sequence[last:], keep)

    def truncate(self, length: int) -> None:
        """Forget everything after the first `length` tokens."""
        with self._lock:
            self._truncate(length)

    def _share(self, sequence: Sequence[int], most: int) -> int:
        """Keep the states of the longest common beginning, at most `most` tokens; how many they are."""
        self._truncate(min(most, self.shared_with(sequence)))
        return self.length

    def _truncate(self, length: int) -> None:
        surplus = len(self._tokens) - length
        if surplus <= 0:
            return
        self._final = None
        if all(layer.is_croppable and not layer.is_sliding for layer in self._states.layers):
            self._states.crop(-surplus)
            del self._tokens[length:]
        else:
            self._tokens, self._states = [], None

    def _feed(self, tokens: Sequence[int], keep: int) -> torch.Tensor:
        from transformers import DynamicCache

        # A pass that fails half way leaves some layers longer than others: the states are put back only
        # after it.
        states = DynamicCache(config=self._model.config) if self._states is None else self._states
        known, self._tokens, self._states, self._final = self._tokens, [], None, None
        output = self._model(
            input_ids=torch.tensor([list(tokens)]),  # [1, n]
            past_key_values=states,
            use_cache=True,
            logits_to_keep=keep,
        )
        known.extend(tokens)
        logits: torch.Tensor = output.logits[0].float()  # [keep, vocabulary]
        self._tokens, self._states, self._final = known, states, logits[-1:]
        return logits


@dataclass
class Step:
    """What one turn of the loop wrote.

    Args:
        tokens: Written tokens: the chosen one and those that the constraint forced after it; no end token.
        forced: How many of them were forced.
        finish: Set on the last step.
        complete: The text so far satisfies the constraint.
    """

    tokens: list[int] = field(default_factory=list)
    forced: int = 0
    finish: FinishReason | None = None
    complete: bool = False


def decode(
    cache: PrefixCache,
    prompt: Sequence[int],
    matcher: TokenMatcher,
    *,
    end_ids: Sequence[int],
    sampling: Sampling,
    limits: Limits,
    work: Work,
) -> Iterator[Step]:
    """Write tokens after `prompt` until the reply ends.

    Args:
        cache: The model and its last states.
        prompt: Token ids, at least one.
        matcher: Which tokens may come; in its initial state.
        end_ids: Tokens that end the reply.
        sampling: How to choose where several may come.
        limits: When to stop early.
        work: Counts what this costs.

    Yields:
        Steps; the last one, and only that one, has `finish` set.
    """
    choose = Chooser(sampling)
    sequence = list(prompt)
    chosen: list[int] = []  # the token of the last choice; none yet

    while True:
        # 1. Tokens that can only come now are taken unseen, right after the prompt as well as after a choice.
        forced = matcher.forced()
        room = len(prompt) + limits.max_tokens - len(sequence) - len(chosen)
        cut = len(forced) > room
        fresh = chosen + forced[:room]
        sequence += fresh

        # 2. Is there a reason to stop?
        finish = limits.interrupted()
        if matcher.finished and not cut:
            finish = "stop"
        elif finish is None and len(fresh) >= room + len(chosen):
            finish = "length"
        yield Step(fresh, len(fresh) - len(chosen), finish, complete=matcher.complete and not cut)
        if finish:
            return

        # 3. One forward pass over everything that the model has not seen.
        logits = cache.logits(sequence, work=work, limits=limits)  # [1, vocabulary]
        if logits is None:
            yield Step(finish=limits.interrupted(), complete=matcher.complete)
            return

        # 4. The constraint's mask, without going round in circles once more; then the choice.
        written = sequence[len(prompt) :]
        token = choose(logits[0], _out_of_the_loop(torch.from_numpy(matcher.mask()), written), written)
        if token in end_ids:
            yield Step(finish="stop", complete=True)
            return
        matcher.accept(token)
        chosen = [token]


def _out_of_the_loop(allowed: torch.Tensor, written: Sequence[int]) -> torch.Tensor:
    """`allowed`, bool [vocabulary], without the token that would continue a loop, if another one is left."""
    again = token_of_a_loop(written)
    if again is None or int(allowed.sum()) < 2:
        return allowed
    return allowed.index_fill(0, torch.tensor([again]), value=False)


def token_of_a_loop(written: Sequence[int]) -> int | None:
    """The token that would continue a loop at the end of `written`, if there is one.

    Small models fall into loops ("I'm sorry, I'm sorry, …") that the most probable token never leaves. A loop is
    the same run of up to `_LONGEST_PERIOD` tokens at least four times in a row, `_LOOP_TOKENS` or more in all.
    """
    for period in range(1, _LONGEST_PERIOD + 1):
        length = max(_LOOP_TOKENS, 4 * period)
        tail = written[-length:]
        if len(tail) == length and all(a == b for a, b in zip(tail, tail[period:], strict=False)):
            return tail[-period]
    return None


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
        logits = logits[: len(allowed)].masked_fill(~allowed[: len(logits)], -torch.inf)
        if sampling.temperature <= 0:
            return int(logits.argmax())
        probabilities = torch.softmax(logits / sampling.temperature, dim=-1)  # [vocabulary]
        if sampling.top_p < 1.0:
            # Holtzman et al. 2020, arXiv 1904.09751: the smallest set of tokens that reaches top_p.
            ordered, order = probabilities.sort(descending=True)
            outside = ordered.cumsum(-1) - ordered >= sampling.top_p  # the first token always stays
            probabilities = torch.zeros_like(probabilities).scatter(
                0, order, ordered.masked_fill(outside, 0.0)
            )
        return int(torch.multinomial(probabilities, 1, generator=self._random))


def score_first_tokens(
    cache: PrefixCache, prompt: Sequence[int], tokens: Collection[int], *, work: Work
) -> float:
    """Natural log of the probability that one of `tokens` follows `prompt`."""
    logits = cache.logits(prompt, work=work)  # [1, vocabulary]
    assert logits is not None
    return float(torch.log_softmax(logits[0], dim=-1)[sorted(set(tokens))].logsumexp(-1))


def score_options(
    cache: PrefixCache, prompt: Sequence[int], options: Sequence[Sequence[int]], *, work: Work
) -> list[float]:
    """Natural log-probability of each option as the continuation of `prompt`.

    The first token of every option is read from the logits after the prompt; an option of several tokens is
    then fed after it, which reuses the prompt's states, and its further tokens are read from there.

    Args:
        cache: The model and its last states.
        prompt: Token ids, at least one.
        options: Token ids of each option, at least one each.
        work: Counts what this costs.
    """
    first = cache.logits(prompt, work=work)  # [1, vocabulary]
    assert first is not None
    start = torch.log_softmax(first[0], dim=-1)  # [vocabulary]
    scores: list[float] = []
    for option in options:
        score = float(start[option[0]])
        if len(option) > 1:
            logits = cache.logits([*prompt, *option[:-1]], work=work, keep=len(option) - 1)
            assert logits is not None  # [len(option) - 1, vocabulary]
            rest = torch.tensor(option[1:])[:, None]  # [len(option) - 1, 1]
            score += float(torch.log_softmax(logits, dim=-1).gather(1, rest).sum())
        scores.append(score)
    cache.truncate(len(prompt))
    return scores
