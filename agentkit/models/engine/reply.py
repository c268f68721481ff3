"""The one decode loop: a reply that is written by choosing, forcing and guessing tokens.

    logits ─► 1. mask and choose ─► 2. what the constraint forces now ─► 3. was it guessed? next row : next pass

What only one token can continue is taken without looking at the model and fed together with the next free choice.
Guesses (`drafts`) are fed along as well: the row after a guess says what would be chosen if the guess is right, so a
guess that agrees with the choice saves a pass, and one that does not is forgotten. Since every token is chosen by the
same rule from the same logits as without guesses, greedy and sampled text alike are what plain decoding would write
(Leviathan et al. 2023, arXiv 2211.17192, for a draft that is certain of itself).

Near the token limit room is kept for the end: a token is only taken if what it leaves open can still be closed
(`TokenMatcher.ending`). The first one that could not is not taken; the shortest ending is written in its place, and the
reply ends with reason `length`: valid, but not what the model meant to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch

from agentkit.models.engine.drafts import EarlierReplies, PromptLookup
from agentkit.models.engine.job import Job, Limits, Work
from agentkit.models.engine.sampling import Chooser
from agentkit.models.protocols import FinishReason

if TYPE_CHECKING:
    from agentkit.models.constraints import TokenMatcher

_LOOP_TOKENS: Final = 24
"""A line of a table or a list of equal numbers may repeat a token; this many repeated ones are a loop."""
_LONGEST_PERIOD: Final = 24
"""A sentence of some fifteen words."""
_RESERVE: Final = 64
"""With this many tokens left, beyond those of an ending, it is watched that the ending still fits."""


@dataclass
class Step:
    """What one choice wrote.

    Args:
        tokens: Written tokens: the chosen one and those that the constraint forced after it; no end token.
        forced: How many of them were forced.
        finish: Set on the last step.
        complete: The text so far satisfies the constraint.
        log_probability: Natural log of the model's probability of the chosen token; None where none was chosen.
        closed: The tokens end what the limit left open; the model had no part in them.
    """

    tokens: list[int] = field(default_factory=list)
    forced: int = 0
    finish: FinishReason | None = None
    complete: bool = False
    log_probability: float | None = None
    closed: bool = False


class Reply(Job[Step]):
    """Tokens after a prompt, until the reply ends. The last step, and only that one, has `finish` set.

    Args:
        prompt: Token ids, at least one.
        matcher: Which tokens may come, in its initial state; or what decides on one when it is told the logits after
            the prompt, float32 [vocabulary].
        end_ids: Tokens that end the reply.
        chooser: How to choose where several may come.
        limits: When to stop early.
        work: Counts what this costs.
        earlier: What was written before, for guesses; this reply is added when it ends.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        matcher: TokenMatcher | Callable[[torch.Tensor], TokenMatcher],
        *,
        end_ids: Sequence[int],
        chooser: Chooser,
        limits: Limits,
        work: Work,
        earlier: EarlierReplies | None = None,
    ) -> None:
        super().__init__(prompt, limits, work)
        self._prompt_length = len(prompt)
        self._end_ids = frozenset(end_ids)
        self._choose = chooser
        self._guesses = 0  # at the end of `tokens`
        self._earlier = earlier
        self._lookup = PromptLookup(prompt, earlier)
        self._ending: Sequence[int] | None = None  # what would complete the text; None: it is not watched now
        self._look_at = max(limits.max_tokens // 2, 2 * _RESERVE)  # room at which it is looked for
        self._undecided: Callable[[torch.Tensor], TokenMatcher] | None = None
        if callable(matcher):
            self._undecided = matcher
        else:
            self._begin(matcher)

    @property
    def _written(self) -> list[int]:
        return self.tokens[self._prompt_length : len(self.tokens) - self._guesses]

    @property
    def _room(self) -> int:
        """How many tokens may still be written."""
        return self.limits.max_tokens - (len(self.tokens) - self._guesses - self._prompt_length)

    def propose(self, most: int) -> None:
        """See `Job`."""
        if self._undecided is not None or self._guesses:
            return
        guesses = self._lookup.draft(min(most, self._room))
        guesses = guesses[: self._matcher.agreeing(guesses)] if guesses else guesses
        self.tokens += guesses
        self._guesses = len(guesses)
        self.keep = 1 + len(guesses)

    def advance(self, logits: torch.Tensor) -> None:
        """See `Job`."""
        guesses = self.tokens[len(self.tokens) - self._guesses :] if self._guesses else []
        del self.tokens[len(self.tokens) - self._guesses :]
        certain = len(self.tokens)
        self._guesses, self.keep = 0, 1
        if self._undecided is not None:
            matcher, self._undecided = self._undecided(logits[-1]), None
            self._begin(matcher)
            if self.ended or len(self.tokens) > certain:
                return
        row = 0
        while not self.ended:
            fresh = self._write_from(logits[row])
            agreed = guesses[row : row + len(fresh)] == fresh
            if not agreed or row + len(fresh) > len(guesses):
                # The states beyond what was guessed right belong to other tokens.
                right = next(
                    (i for i, (a, b) in enumerate(zip(guesses[row:], fresh, strict=False)) if a != b),
                    len(fresh),
                )
                self.seen = min(self.seen, certain + min(row + right, len(guesses)))
                break
            row += len(fresh)

    def interrupt(self, reason: FinishReason) -> None:
        """See `Job`."""
        complete = self._undecided is None and self._matcher.complete
        self._end(Step(finish=reason, complete=complete))

    def _begin(self, matcher: TokenMatcher) -> None:
        self._matcher = matcher
        self._write([], matcher.forced())

    def _write_from(self, logits: torch.Tensor) -> list[int]:
        """Choose, float32 [vocabulary], and write; gives what was written, nothing at the end."""
        written = self._written
        allowed = _out_of_the_loop(torch.from_numpy(self._matcher.mask()), written)
        token = self._choose(logits, allowed, written)
        if token in self._end_ids:
            self._end(Step(finish="stop", complete=True))
            return []
        before = None if self._ending is None else self._matcher.fork()
        self._matcher.accept(token)
        forced = self._matcher.forced()
        if before is not None:
            room = self._room - 1 - len(forced)
            ending = self._matcher.ending(room)
            if ending is None or len(ending) > room:
                self._matcher = before
                return self._close()
            self._ending = ending
        return self._write([token], forced, float(logits[token] - logits.logsumexp(-1)))

    def _write(
        self, chosen: list[int], forced: Sequence[int], log_probability: float | None = None
    ) -> list[int]:
        """Write what was chosen and what can only come after it."""
        room = self._room - len(chosen)
        cut = len(forced) > room
        fresh = [*chosen, *forced[:room]]
        self.tokens += fresh
        self._lookup.extend(fresh)
        finish = self.limits.interrupted()
        if self._matcher.finished and not cut:
            finish = "stop"
        elif finish is None and (len(fresh) >= room + len(chosen) or not self._can_end()):
            finish = "length"
        complete = self._matcher.complete and not cut
        step = Step(fresh, len(fresh) - len(chosen), finish, complete, log_probability)
        if finish:
            self._end(step)
        else:
            self.outbox.append(step)
        return fresh

    def _can_end(self) -> bool:
        """Whether the constraint can still be satisfied, as far as is known; looked at when room gets scarce."""
        room = self._room
        if room > self._look_at or self._ending is not None:
            return True
        ending = self._matcher.ending(room)
        if ending is None:
            self._look_at = room // 2
            return True
        self._look_at = len(ending) + _RESERVE
        if room <= self._look_at:
            self._ending = ending
        return len(ending) <= room

    def _close(self) -> list[int]:
        """End with what completes the text, which room was kept for."""
        fresh = list(self._ending or ())
        self.tokens += fresh
        self._end(Step(fresh, len(fresh), "length", complete=True, closed=bool(fresh)))
        return fresh

    def _end(self, step: Step) -> None:
        if self._earlier is not None:
            # The last tokens of the prompt begin a reply: they are the key of its first words.
            self._earlier.add([*self.tokens[self._prompt_length - 2 : self._prompt_length], *self._written])
        self.outbox.append(step)
        self.ended = True


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
