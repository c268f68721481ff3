"""Starts the workers of a soak, kills them, watches what they use, and checks every promise at the end."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy

from agentkit.errors import ConfigurationError
from agentkit.messages import Value
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing.crash_ledger import Kind, Ledger, broken_promises
from agentkit.testing.soak.worker import DATABASE, STOP, TENANT, open_agent, work

_LONGEST_FUSE: Final = 600  # crash points until a worker kills itself
_SAMPLE_SECONDS: Final = 1.0
_PATIENCE: Final = 120.0  # seconds that workers get to end by themselves
_LOOK: Final = 0.05  # seconds between two looks whether workers have ended
_WARM_UP: Final = 0.2  # of the samples: what a process takes once is no slope
_NUMBERED: Final = re.compile(r"(\S+) (\d+) please")


class SoakPlan(Value):
    """What a soak does.

    Args:
        minutes: How long messages are sent.
        kill_every: Seconds between two kills by signal, on average; 0: none. Besides, every worker but the first kills
            itself at a crash point that is drawn by lot.
        seed: Decides messages, kills and crash points.
        workers: Processes; the first is never killed, so that what it uses can be watched.
    """

    minutes: float = 1.0
    kill_every: float = 2.0
    seed: int = 0
    workers: int = 3


class SoakReport(Value):
    """What a soak found.

    Args:
        minutes: How long messages were sent.
        kills: Workers that died by SIGKILL.
        kills_at_points: How many of them at a named crash point.
        accepted: Messages whose acceptance was told to their sender.
        turns: Committed turns.
        effects: Effects that happened.
        broken: Every promise that was broken, and where; empty when all were kept.
        memory_slope: Growth of the first worker's resident memory after a warm-up, MB a minute.
        descriptors: Least and most open files of the first worker after the warm-up.
        largest_log: Largest write-ahead log, MB.
    """

    minutes: float
    kills: int
    kills_at_points: int
    accepted: int
    turns: int
    effects: int
    broken: tuple[str, ...]
    memory_slope: float
    descriptors: tuple[int, int]
    largest_log: float


@dataclass
class _Watch:
    """What was measured while the workers ran; times in seconds."""

    times: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    logs: list[float] = field(default_factory=lambda: [0.0])

    def look(self, pid: int, folder: Path, now: float) -> None:
        """Take a sample of a process and of the write-ahead log."""
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            opened = len(os.listdir(f"/proc/{pid}/fd"))
            log = (folder / f"{DATABASE}-wal").stat().st_size
        except OSError:
            return  # not there yet, or not a system that tells
        self.times.append(now)
        self.resident.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        self.descriptors.append(opened)
        self.logs.append(log / 1e6)

    def slope(self) -> float:
        """Growth of the memory in MB a minute, by least squares."""
        first = int(len(self.times) * _WARM_UP)
        if len(self.times) - first < 3:
            return 0.0
        return float(numpy.polyfit(self.times[first:], self.resident[first:], 1)[0]) * 60

    def opened(self) -> tuple[int, int]:
        """Least and most open files."""
        counts = self.descriptors[int(len(self.descriptors) * _WARM_UP) :]
        return (min(counts), max(counts)) if counts else (0, 0)


class _Everybody(Ledger):
    """The ledgers of all writers as one."""

    def read(self, kind: Kind) -> list[str]:
        files = sorted(self.folder.glob(f"{kind}*.ledger"))
        lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
        # A sender that sent a message again heard twice of it; an effect that happened twice did so.
        return lines if kind in ("effect", "generated") else list(dict.fromkeys(lines))


class _Workers:
    """The processes of a soak, by the number of the worker."""

    def __init__(self, folder: Path, plan: SoakPlan, dice: random.Random) -> None:
        self._folder = folder
        self._plan = plan
        self._dice = dice
        self.running: dict[int, int] = {}
        self.kills = 0
        self.failed: list[str] = []

    def start_missing(self) -> None:
        """Fork a process for every worker that has none."""
        for number in range(self._plan.workers):
            if number not in self.running:
                self.running[number] = self._fork(number)

    def kill_one(self) -> None:
        """SIGKILL to any worker but the first."""
        chosen = self._dice.randrange(1, self._plan.workers)
        if chosen in self.running:
            os.kill(self.running[chosen], signal.SIGKILL)

    def reap(self, *, wait: bool = False) -> None:
        """Take note of the workers that have ended."""
        for number, pid in tuple(self.running.items()):
            ended, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
            if ended == 0:
                continue
            del self.running[number]
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                self.kills += 1
            elif status != 0:
                self.failed.append(f"worker {number} ended with status {status}")

    def _fork(self, number: int) -> int:
        seed = self._dice.randrange(2**31)
        fuse = self._dice.randrange(1, _LONGEST_FUSE) if number and self._plan.kill_every else None
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            work(self._folder, f"w{number}", seed, fuse)
            status = 0
        finally:  # never into the loop of the process that this one was forked from
            if status:
                traceback.print_exc()
            os._exit(status)


def run_soak(folder: Path, plan: SoakPlan, progress: Callable[[str], None] = lambda line: None) -> SoakReport:
    """Send, answer and kill for a while, then go on from what is left and check every promise.

    Args:
        folder: An empty folder for database and ledgers.
        plan: What to do.
        progress: Told now and then how far it is.

    Raises:
        ConfigurationError: This system cannot fork processes, or there are fewer than two workers.
    """
    if not hasattr(os, "fork") or plan.workers < 2:
        raise ConfigurationError(
            "A soak needs a system that can fork processes, and two workers at least.",
            hint="Run it on Linux or macOS, with --workers 2 or more.",
        )
    dice, watch = random.Random(plan.seed), _Watch()
    SqliteStore.open(folder / DATABASE).close()
    workers = _Workers(folder, plan, dice)
    begun = time.monotonic()
    end = begun + plan.minutes * 60
    next_kill = _next_kill(begun, plan, dice)
    next_sample = begun
    while (now := time.monotonic()) < end:
        workers.start_missing()
        if now >= next_kill:
            workers.kill_one()
            next_kill = _next_kill(now, plan, dice)
        if now >= next_sample:
            watch.look(workers.running.get(0, 0), folder, now - begun)
            next_sample = now + _SAMPLE_SECONDS
            progress(f"{(now - begun) / 60:.1f} of {plan.minutes} minutes, {workers.kills} kills")
        time.sleep(0.01)
        workers.reap()
    (folder / STOP).touch()
    _wait_for_end(workers)
    return _report(folder, plan, workers, watch)


def _next_kill(now: float, plan: SoakPlan, dice: random.Random) -> float:
    return now + dice.uniform(0, 2 * plan.kill_every) if plan.kill_every else float("inf")


def _wait_for_end(workers: _Workers) -> None:
    """Workers end by themselves; one that does not is a finding, and is killed."""
    for _ in range(round(_PATIENCE / _LOOK)):  # not by a clock: a machine that was suspended is not to blame
        if not workers.running:
            return
        time.sleep(_LOOK)
        workers.reap()
    for number, pid in workers.running.items():
        workers.failed.append(f"worker {number} did not end within {_PATIENCE:.0f} s")
        os.kill(pid, signal.SIGKILL)
    workers.reap(wait=True)


def _report(folder: Path, plan: SoakPlan, workers: _Workers, watch: _Watch) -> SoakReport:
    ledger = _Everybody(folder)
    agent = open_agent(folder)
    agent.resume()
    store = agent.store
    assert isinstance(store, SqliteStore)
    users = sorted({(TENANT, json.loads(line)["user"]) for line in ledger.read("sent")})
    broken = [*workers.failed, *broken_promises(store, users, ledger, every_message_is_remembered=False)]
    broken += [f"2 all or nothing: turn {left.turn.id} is open after a resume" for left in store.open_turns()]
    broken += [f"1 accepted = stored: {key} waits after a resume" for key in store.unattended()]
    turns = 0
    said: Counter[str] = Counter()
    for tenant, user in users:
        user_store = store.for_user(tenant, user)
        for conversation in user_store.conversations():
            texts = [
                part.text
                for message in user_store.transcript(conversation.id)
                if message.role == "user"
                for part in message.parts
            ]
            said.update(texts)
            turns += len(user_store.turns(conversation.id))
            broken += _out_of_order(conversation.id, texts)
    broken += [f"1 accepted = stored: {text!r} is there {n} times" for text, n in said.items() if n > 1]
    store.close()
    return SoakReport(
        minutes=plan.minutes,
        kills=workers.kills,
        kills_at_points=sum(line.startswith("killed at") for line in ledger.read("generated")),
        accepted=len(set(ledger.read("accepted"))),
        turns=turns,
        effects=len(ledger.read("effect")),
        broken=tuple(broken),
        memory_slope=round(watch.slope(), 3),
        descriptors=watch.opened(),
        largest_log=round(max(watch.logs), 1),
    )


def _out_of_order(conversation_id: str, texts: list[str]) -> Iterator[str]:
    """The messages of one sender are numbered; a conversation must hold them in that order."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for text in texts:
        found = _NUMBERED.match(text)
        if found is not None:
            numbers[found[1]].append(int(found[2]))
    for sender, order in numbers.items():
        if order != sorted(order):
            yield f"5 one order: {sender} in {conversation_id} is answered as {order}"
