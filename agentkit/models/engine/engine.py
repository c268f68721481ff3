"""Many requests, one model: whoever waits for a reply drives the passes that all of them share.

    submit ─► waiting ─► admitted: states from the tree ─► passes ─► ended: states put into the tree

There is no thread of its own. A caller that wants its next item either finds it in the outbox, or drives one pass for
everybody, or waits for the caller that is driving. So nothing runs when nobody listens, and closing leaves nothing
behind. In each pass

1. requests whose deadline has passed, or that were cancelled, end;
2. waiting requests join, up to `_TOGETHER`;
3. every sequence brings what the model has not seen: a token or a few, or the next block of a long prompt, which is
   short when others are writing, so that they hardly wait;
4. the model sees all of it at once; each request goes on by its own logits, constraint and random numbers.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from agentkit.errors import AgentKitError, ModelError
from agentkit.models.engine.network import Feed
from agentkit.models.engine.prefix_tree import PrefixTree, shared_length
from agentkit.models.heap import tidy_heap

if TYPE_CHECKING:
    import torch

    from agentkit.models.engine.job import Job
    from agentkit.models.engine.prefix_files import PrefixFiles
    from agentkit.models.engine.states import States

Item = TypeVar("Item")

_TOGETHER: Final = 8
"""Sequences in one pass; beyond eight rows a pass gets dearer with every row."""
_ROWS: Final = 8
"""Rows that cost about what one costs; drafts fill what the sequences leave of them."""
_BLOCK: Final = 256
"""Prompt tokens per pass: about half a second of work, so that a cancelled prompt stops soon."""
_BLOCK_BESIDE_OTHERS: Final = 64
"""The same where others are writing."""
_WORTH_WAITING: Final = 64
"""A request waits for another one that is computing so many tokens that it needs as well."""


class Network(Protocol):
    """A model, seen from the engine."""

    @property
    def bytes_per_token(self) -> int:
        """Memory that the states of one token take."""
        ...

    def new_states(self) -> States:
        """States of an empty sequence."""
        ...

    def forward(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """See `DecoderNetwork.forward`."""
        ...


class _Running:
    """A job and its states."""

    def __init__(self, job: Job[Any], states: States) -> None:
        self.job = job
        self.states = states
        self.read = False  # whether the states of the whole prompt are there

    def keep(self, tree: PrefixTree, most: int | None = None) -> None:
        """Put the states of the sequence, or of its first `most` tokens, into the tree."""
        seen = min(self.job.seen, self.states.length, len(self.job.tokens) - self.job.private)
        if self.states.divisible:
            tree.insert(self.job.tokens[: seen if most is None else min(seen, most)], self.states)

    def shares(self, job: Job[Any]) -> int:
        """How many tokens another job has in common with this one, from the start."""
        return shared_length(tuple(job.tokens), tuple(self.job.tokens))


class Engine:
    """Runs jobs on a network; any number of threads may submit.

    Args:
        network: The model.
        budget: Most bytes of states that are kept between requests.
        files: Where the states of static beginnings are kept between processes; None: nowhere.
    """

    def __init__(self, network: Network, budget: int, files: PrefixFiles | None = None) -> None:
        self._network = network
        self._files = files
        self.tree = PrefixTree(budget)
        self._waiting: deque[Job[Any]] = deque()
        self._running: list[_Running] = []
        self._turn = threading.Condition()
        self._driven = False

    def submit(self, job: Job[Item]) -> Generator[Item, None, None]:
        """Run a job; gives its items as they come.

        The work begins with the first item that is asked for. Closing the iterator ends the job.

        Raises:
            ModelError: There was not enough memory; the engine goes on with other jobs.
        """
        with self._turn:
            self._waiting.append(job)
        try:
            while True:
                with self._turn:
                    while not job.outbox and not job.ended and self._driven:
                        self._turn.wait()
                    if job.outbox:
                        item = job.outbox.popleft()
                    elif job.error is not None:
                        raise job.error
                    elif job.ended:
                        return
                    else:
                        item = None
                        self._driven = True
                if item is not None:
                    yield item
                    continue
                try:
                    self._pass()
                finally:
                    self._hand_over()
        finally:
            job.ended = True
            self._tidy()

    def pass_over(self, tokens: Sequence[int]) -> None:
        """One pass over tokens by themselves; nothing is looked up or kept. For measurements, while no job runs."""
        self._network.forward([Feed(tokens, self._network.new_states(), 1)])

    def _tidy(self) -> None:
        """Put away the states of jobs that have ended; who drives does it otherwise."""
        with self._turn:
            if self._driven:
                return
            self._driven = True
        try:
            self._let_go()
        finally:
            self._hand_over()

    def _hand_over(self) -> None:
        with self._turn:
            self._driven = False
            self._turn.notify_all()

    def _pass(self) -> None:
        """One forward pass for everybody."""
        try:
            self._let_go()
            self._admit()
            feeds = self._plan()
            if feeds:
                logits = self._network.forward([feed for _, feed in feeds])
                self._deliver(feeds, logits)
                del feeds, logits
            self._let_go()
        except (RuntimeError, MemoryError) as error:
            self._fail_all(error)
        except BaseException:
            self._fail_all(RuntimeError("the engine was interrupted in the middle of a pass"))
            raise

    def _let_go(self) -> None:
        """End what is to end, and keep the states of what has ended."""
        with self._turn:
            for job in [*self._waiting, *(each.job for each in self._running)]:
                if not job.ended and (reason := job.limits.interrupted()) is not None:
                    job.interrupt(reason)
            self._waiting = deque(job for job in self._waiting if not job.ended)
        ended = [each for each in self._running if each.job.ended]
        while ended:  # one after the other, so that not all are in memory twice
            each = ended.pop()
            each.keep(self.tree)
            self._running.remove(each)

    def _admit(self) -> None:
        """Let waiting jobs join, in their order, unless one needs what another is just computing."""
        with self._turn:
            waiting = list(self._waiting)
        if len(waiting) > 1:
            tidy_heap()  # several are about to need memory of their own
        for job in waiting:
            if len(self._running) >= _TOGETHER or self._better_wait(job):
                continue
            states = self._network.new_states()
            if states.divisible:
                if self._files is not None:
                    self._files.fetch(job.tokens[: job.static], self.tree, states)
                self._share(job)
                # By itself a sequence is the only one in memory twice; putting all of it back would cost more.
                stays = job.static if self._running or len(waiting) > 1 else len(job.tokens)
                self.tree.lend(states, job.tokens[: len(job.tokens) - job.keep], stays)
            job.seen = states.length
            if job.work.cached_tokens is None:
                job.work.cached_tokens = job.seen
            self._running.append(_Running(job, states))
            with self._turn:
                self._waiting.remove(job)

    def _share(self, job: Job[Any]) -> None:
        """Put into the tree what running sequences have of the beginning of a job and the tree has not."""
        for each in self._running:
            shared = each.shares(job)
            if each.read and shared >= self.tree.match(job.tokens) + _WORTH_WAITING:
                each.keep(self.tree, shared)

    def _better_wait(self, job: Job[Any]) -> bool:
        known = self.tree.match(job.tokens)
        return any(not each.read and each.shares(job) >= known + _WORTH_WAITING for each in self._running)

    def _plan(self) -> list[tuple[_Running, Feed]]:
        """What each sequence brings to the next pass."""
        writing = [each for each in self._running if each.job.missing <= _BLOCK_BESIDE_OTHERS]
        reading = [each for each in self._running if each.job.missing > _BLOCK_BESIDE_OTHERS]
        feeds = []
        for each in writing:
            each.job.propose(max(0, _ROWS // len(self._running) - 1))
            job = each.job
            each.states.truncate(min(job.seen, len(job.tokens) - job.keep))
            start = each.states.length  # less, where states cannot be cut
            feeds.append((each, Feed(job.tokens[start:], each.states, job.keep, job.adapter)))
        block = _BLOCK_BESIDE_OTHERS if writing else _BLOCK
        for each in reading[:1]:  # one prompt at a time: the next one may share what this one computes
            job = each.job
            each.states.truncate(job.seen)
            start = each.states.length
            if start + block < len(job.tokens):
                # Not beyond what logits are wanted of, which are asked for in the last pass.
                end = min(start + block, len(job.tokens) - job.keep)
                feeds.append((each, Feed(job.tokens[start:end], each.states, 0)))
            else:
                feeds.append((each, Feed(job.tokens[start:], each.states, job.keep, job.adapter)))
        return feeds

    def _deliver(self, feeds: Sequence[tuple[_Running, Feed]], logits: torch.Tensor) -> None:
        row = 0
        for each, feed in feeds:
            job = each.job
            job.seen = each.states.length
            job.work.forward_passes += 1
            job.work.computed_tokens += len(feed.tokens)
            if feed.keep:
                if not each.read:
                    each.read = True
                    if self._files is not None and each.states.divisible:
                        self._files.store(job.tokens[: job.static], each.states)
                self._advance(job, logits[row : row + feed.keep])
            row += feed.keep

    def _advance(self, job: Job[Any], logits: torch.Tensor) -> None:
        try:
            job.advance(logits)
        except AgentKitError as error:  # a constraint that cannot be followed ends this request only
            with self._turn:
                job.error, job.ended = error, True

    def _fail_all(self, error: Exception) -> None:
        """After a failed pass nothing of its states can be trusted; later requests begin anew.

        Those that wait fail as well: the pass may have failed over letting one of them in.
        """
        failure = ModelError(
            f"the model failed: {error}",
            hint="If memory is short, close other programs, shorten the prompt or take a smaller model.",
        )
        failure.__cause__ = error
        self.tree.clear()
        with self._turn:
            for job in [*self._waiting, *(each.job for each in self._running)]:
                job.error, job.ended = failure, True
            self._waiting.clear()
            self._running = []
