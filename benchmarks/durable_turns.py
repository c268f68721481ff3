"""How quick turns are beside the models: `python -m benchmarks.durable_turns [--cases overhead,many,long,open,recall]`.

The generator does what the message says and the encoder counts words, so that what is measured is the framework: the
loop, one tool call a turn, and the store on this machine's disk. Times are wall times, with the processor time of the
whole process beside them where a busy machine would blur the first.

- overhead: a turn with a tool call in a fresh conversation, in memory and in a file; the disk's fsync beside it
- many: fifty conversations at once, each message answered before the next is sent, by one process and by two
- long: a conversation of 10,000 messages beside one of 10
- open: a file with a million messages
- recall: a search among 10,000 and 100,000 memories of a user, as a turn makes it, each after what a turn added
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from agentkit.agent import Agent, Settings
from agentkit.events import Replied, TurnFinished
from agentkit.memory import RecallPool, memories_of
from agentkit.messages import assistant, user
from agentkit.store.driver import sqlite3
from agentkit.store.protocol import Store, UserStore
from agentkit.store.records import NewMemory
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing import HashingEncoder, InMemoryStore
from agentkit.testing.soak.worker import ObedientGenerator
from agentkit.tools import tool


class _KnownTexts(HashingEncoder):
    """Embeds a text once: what the encoder costs is not measured here."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self._once = functools.cache(super().encode)

    def encode(self, texts: Sequence[str]) -> Any:
        return self._once(tuple(texts))


_ENCODER: Final = _KnownTexts(64)
_ERRAND: Final = "my order is late, please look it"
_ROOT: Final = Path(__file__).resolve().parents[1]
_PEER_PYTHON: Final = _ROOT / ".venv-bench/bin/python"
_WARM_UP: Final = 20
_TURNS: Final = 200
_DIMENSION: Final = 384  # as MiniLM has
_WORDS: Final = 20_000  # different ones in what is remembered
_AT_ONCE: Final = 1_000  # memories of one turn, so that filling takes seconds

# A million messages as turns of a thousand conversations; their texts are short.
_FILL: Final = (
    """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
    INSERT INTO conversations (number, id, tenant, user, seq, title, created_at)
    SELECT i, 'c' || i, 'default', 'user-' || i, 0, '', '2026-01-01T00:00:00+00:00' FROM n""",
    """WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 499999)
    INSERT INTO turns (id, conversation, seq, status, message, reply, created_at, finished_at)
    SELECT 't' || i, 1 + i % 1000, i / 1000, 'done',
        '{"role":"user","parts":[{"text":"where is my order ' || i || '","trust":"user"}]}',
        '{"role":"assistant","parts":[{"text":"It is in Porto.","trust":"system"}]}',
        '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00' FROM n""",
    """INSERT INTO events (turn, seq, event)
    SELECT number, 0, '{"type":"turn_finished","turn_id":"' || id || '"}' FROM turns""",
)


@tool(effect="read")
def look() -> str:
    """Look an order up."""
    return "The order is in Porto."


def agent_on(store: Store) -> Agent:
    """The agent that is measured."""
    settings = Settings(instructions="You are a shop.", tool_similarity=-1)
    return Agent(
        generator=ObedientGenerator(), encoder=_ENCODER, tools=[look], database=store, settings=settings
    )


def timed(action: Callable[[int], object], count: int = _TURNS) -> dict[str, float]:
    """Median and 95th percentile of the wall time of an action, and its processor time, in milliseconds."""
    for number in range(_WARM_UP):
        action(number)
    walls, processor = [], time.process_time()
    for number in range(_WARM_UP, _WARM_UP + count):
        begun = time.perf_counter()
        action(number)
        walls.append((time.perf_counter() - begun) * 1000)
    return {
        "p50_ms": statistics.median(walls),
        "p95_ms": statistics.quantiles(walls, n=20)[-1],
        "processor_ms": (time.process_time() - processor) * 1000 / count,
    }


def overhead(folder: Path) -> dict[str, Any]:
    """A turn of two steps and one tool, in a fresh conversation each."""
    figures: dict[str, Any] = {"fsync": timed(_fsync_in(folder))}
    for name, store in (
        ("in memory", InMemoryStore()),
        ("in a file", SqliteStore.open(folder / "overhead.db")),
    ):
        agent = agent_on(store)
        ids = [agent.new_conversation(user=f"user-{number}") for number in range(_WARM_UP + _TURNS)]
        figures[name] = timed(
            lambda number, agent=agent, ids=ids: agent.ask(  # type: ignore[misc]
                _ERRAND, user=f"user-{number}", conversation=ids[number]
            )
        )
        store.close()
    return figures | dict(_peers())


def _peers() -> Iterator[tuple[str, Any]]:
    """The same run in other frameworks, in memory, where `make bench` has installed them."""
    for name in ("pydantic_ai", "langgraph"):
        if not _PEER_PYTHON.exists():
            yield name, "not installed: make bench"
            continue
        command = [str(_PEER_PYTHON), f"benchmarks/peers/{name}_overhead.py", str(_TURNS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
        yield name, json.loads(done.stdout) if done.returncode == 0 else done.stderr.splitlines()[-1:]


def _fsync_in(folder: Path) -> Callable[[int], None]:
    descriptor = os.open(folder / "fsync", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def write(_: int) -> None:
        os.write(descriptor, bytes(8192))
        os.fsync(descriptor)

    return write


def many(folder: Path, conversations: int = 50, each: int = 12) -> dict[str, Any]:
    """Threads that each hold a conversation, in one process and spread over two on one file."""
    return {
        "one process": _many(folder / "one.db", 1, conversations, each),
        "two processes": _many(folder / "two.db", 2, conversations // 2, each),
    }


def _many(path: Path, processes: int, conversations: int, each: int) -> dict[str, float]:
    spawn = multiprocessing.get_context("spawn")  # a store is not carried over a fork
    together, told = spawn.Barrier(processes), spawn.SimpleQueue()
    workers = [
        spawn.Process(target=_hold, args=(path, number, conversations, each, together, told))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    begun, ended, processor = zip(*(told.get() for _ in workers), strict=True)
    for worker in workers:
        worker.join()
    turns = processes * conversations * each
    return {
        "turns_a_second": turns / (max(ended) - min(begun)),
        "processor_ms_a_turn": sum(processor) * 1000 / turns,
    }


def _hold(path: Path, part: int, conversations: int, each: int, together: Any, told: Any) -> None:
    """Hold some conversations at once, as soon as all processes are ready, and tell when and at which cost."""
    with closing(SqliteStore.open(path, busy_timeout=60)) as store:
        agent = agent_on(store)
        users = [f"user-{part}-{number}" for number in range(conversations)]
        ids = [agent.new_conversation(user=user) for user in users]
        agent.ask(_ERRAND, user=f"first-{part}")  # loads what is loaded on first use

        def converse(number: int) -> None:
            for _ in range(each):
                agent.ask(_ERRAND, user=users[number], conversation=ids[number])

        threads = [threading.Thread(target=converse, args=(number,)) for number in range(conversations)]
        together.wait()
        begun, processor = time.monotonic(), time.process_time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told.put((begun, time.monotonic(), time.process_time() - processor))


def long(folder: Path) -> dict[str, Any]:
    """The same message at the end of a short and of a long conversation of two users."""
    with closing(SqliteStore.open(folder / "long.db")) as store:
        agent = agent_on(store)
        ids = {messages: _conversation_of(store, messages) for messages in (10, 10_000)}
        figures: dict[int, list[float]] = {messages: [] for messages in ids}
        for number in range(_WARM_UP + _TURNS // 2):
            for messages, conversation in ids.items():  # in turns, so that both meet the same machine
                begun = time.perf_counter()
                reply = agent.ask(_ERRAND, user=f"user-{messages}", conversation=conversation)
                if number >= _WARM_UP:
                    figures[messages].append((time.perf_counter() - begun) * 1000)
                assert reply.text
        medians = {str(messages): statistics.median(walls) for messages, walls in figures.items()}
    return {"p50_ms": medians, "ratio": medians["10000"] / medians["10"]}


def _conversation_of(store: SqliteStore, messages: int) -> str:
    user_store = store.for_user("default", f"user-{messages}")
    conversation = user_store.new_conversation()
    for number in range(messages // 2):
        said = user(f"my order {number} has not arrived yet")
        turn = user_store.begin_turn(conversation, said)
        user_store.commit_turn(
            turn.id,
            reply=assistant("It is in Porto."),
            events=(Replied(text="It is in Porto.", source="template"), TurnFinished(turn_id=turn.id)),
            memories=memories_of(said, _ENCODER),
            status="done",
        )
    return conversation


def opening(folder: Path) -> dict[str, float]:
    """Opening a file with a million messages, and the first answer from it."""
    path = folder / "million.db"
    SqliteStore.open(path).close()
    with closing(sqlite3.connect(str(path))) as raw:
        for statement in _FILL:
            raw.execute(statement)
        raw.commit()
    opened, answered = [], []
    for number in range(7):
        begun = time.perf_counter()
        store = SqliteStore.open(path)
        opened.append((time.perf_counter() - begun) * 1000)
        begun = time.perf_counter()
        agent_on(store).ask(_ERRAND, user=f"user-{number + 1}")
        answered.append((time.perf_counter() - begun) * 1000)
        store.close()
    return {
        "megabytes": path.stat().st_size / 1e6,
        "open_p50_ms": statistics.median(opened),
        "open_worst_ms": max(opened),
        "first_answer_p50_ms": statistics.median(answered),
    }


def recall(folder: Path) -> dict[str, Any]:
    """The search of a turn among many memories of one user, with what the turn before added."""
    encoder, dice = HashingEncoder(_DIMENSION), random.Random(0)
    with closing(SqliteStore.open(folder / "recall.db")) as store:
        return {f"{count} memories": _recall(store, count, encoder, dice) for count in (10_000, 100_000)}


def _recall(store: SqliteStore, count: int, encoder: HashingEncoder, dice: random.Random) -> dict[str, float]:
    user_store = store.for_user("default", f"user-{count}")
    for start in range(0, count, _AT_ONCE):
        _remember(user_store, [_sentence(dice) for _ in range(min(_AT_ONCE, count - start))], encoder)
    found = RecallPool(encoder).for_user(user_store)
    similarity = Settings().recall_similarity
    begun = time.perf_counter()
    found.search(_sentence(dice), min_similarity=similarity)
    first = (time.perf_counter() - begun) * 1000
    walls, hits = [], 0
    for _ in range(_TURNS):
        _remember(user_store, [_sentence(dice)], encoder)
        question = " ".join(_sentence(dice).split()[:7])
        vector = encoder.encode([question])[0]
        begun = time.perf_counter()
        hits += len(found.search(vector, min_similarity=similarity, words=question))
        walls.append((time.perf_counter() - begun) * 1000)
    return {
        "first_ms": first,
        "p50_ms": statistics.median(walls),
        "p95_ms": statistics.quantiles(walls, n=20)[-1],
        "found": hits / _TURNS,
    }


def _remember(user_store: UserStore, texts: Sequence[str], encoder: HashingEncoder) -> None:
    """Store texts as what users said, in a conversation of their own."""
    turn = user_store.begin_turn(user_store.new_conversation(), user(texts[0]))
    vectors = encoder.encode(texts)
    user_store.commit_turn(
        turn.id,
        reply=assistant("It is in Porto."),
        events=(),
        memories=[
            NewMemory("message", text, "user", 0.4, encoder.id, vector)
            for text, vector in zip(texts, vectors, strict=True)
        ],
        status="done",
    )


def _sentence(dice: random.Random) -> str:
    """Words of which some are frequent and most are rare."""
    numbers = (int(dice.paretovariate(0.6)) % _WORDS for _ in range(dice.randint(8, 14)))
    return " ".join(f"{number * 2_654_435_761 % 2**32:x}" for number in numbers)


CASES: Final[dict[str, Callable[[Path], dict[str, Any]]]] = {
    "overhead": overhead,
    "many": many,
    "long": long,
    "open": opening,
    "recall": recall,
}


def measured(cases: list[str], folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each case with its figures."""
    for case in cases:
        yield case, CASES[case](folder)


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default=",".join(CASES), help="joined by commas")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to be measured")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        for case, figures in measured(chosen.cases.split(","), Path(name)):
            print(json.dumps({case: figures}, indent=1))


if __name__ == "__main__":
    main()
