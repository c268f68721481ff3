"""Worker processes as engines: the protocol between harness and worker, with real processes that hold no model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.models.bench.desk import load_desk
from agentkit.models.dialects.hermes import HermesDialect
from benchmarks.compare import PEERS, engines_of
from benchmarks.wire import Writer
from benchmarks.workers import WorkerEngine, WorkerFailed

DESK = load_desk()


def started(behaviour: str, patience: float = 60) -> WorkerEngine:
    command = [sys.executable, "-m", "tests.benchmarks.scripted_worker", behaviour]
    return WorkerEngine("scripted", command, Writer(HermesDialect()), patience=patience)


@pytest.fixture
def good() -> Iterator[WorkerEngine]:
    engine = started("good")
    yield engine
    engine.close()


def test_a_worker_says_what_it_is(good: WorkerEngine) -> None:
    assert good.about == "scripted, good"
    assert good.reuses_prompts


def test_answers_come_in_the_order_of_the_requests_whatever_the_worker_prints(good: WorkerEngine) -> None:
    history = DESK.history(0)
    asked = [DESK.call(history, 1), DESK.reply(history, 2), DESK.first_token(history, 3)]
    for _ in range(2):
        timed = good.ask(asked)
        assert [answer.generated_tokens for answer in timed.answers] == [1, 1, 1]
        assert timed.answers[0].prompt_tokens < timed.answers[1].prompt_tokens
        assert timed.answers[0].cached_tokens is None
        assert timed.seconds >= 0


def test_a_worker_is_asked_for_its_reference_pass(good: WorkerEngine) -> None:
    assert good.reference_pass() == 0.25


def test_a_fresh_process_answers_one_request(good: WorkerEngine) -> None:
    assert good.seconds_to_first_token() > 0
    assert good.ask([DESK.call(DESK.history(0), 1)]).answers


def test_the_peak_memory_of_a_worker_is_its_own(good: WorkerEngine) -> None:
    peak = good.peak_memory()
    assert peak is None or 1e6 < peak < 1e9


def test_a_worker_that_does_not_start_says_why() -> None:
    with pytest.raises(WorkerFailed, match="OSError: these weights are not for me"):
        started("broken")


def test_a_worker_that_sends_something_else_is_refused() -> None:
    with pytest.raises(WorkerFailed, match="no JSON: 'Loading"):
        started("garbage")


def test_a_command_that_does_not_exist_is_named() -> None:
    with pytest.raises(WorkerFailed, match="no-such-python"):
        WorkerEngine("x", ["no-such-python"], Writer(HermesDialect()))


def test_a_worker_that_dies_is_started_anew_for_the_next_request() -> None:
    engine = started("dies on calls")
    history = DESK.history(0)
    with pytest.raises(WorkerFailed, match="no grammar for this schema"):
        engine.ask([DESK.call(history, 1)])
    assert engine.ask([DESK.reply(history, 1)]).answers
    engine.close()


def test_a_worker_that_does_not_answer_in_time_is_ended() -> None:
    engine = started("slow", patience=2)
    with pytest.raises(WorkerFailed, match="no answer in 2 s"):
        engine.ask([DESK.reply(DESK.history(0), 1)])


def test_peers_without_an_environment_are_left_out_by_name(tmp_path: Path) -> None:
    openers, missing = engines_of(PEERS, tmp_path / ".venv-bench" / "bin" / "python")
    assert list(openers) == ["agentkit"]
    assert [one.engine for one in missing] == [peer.name for peer in PEERS]
    assert all(".venv-bench" in one.why for one in missing)


def test_peers_that_cannot_be_imported_are_left_out_by_name() -> None:
    openers, missing = engines_of(PEERS[:1], Path(sys.executable))
    assert list(openers) == ["agentkit"]
    assert missing[0].why == "not installed: ModuleNotFoundError: No module named 'llama_cpp'"
