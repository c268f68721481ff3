"""SIGKILL at every write and effect of whole turns of an agent: the six promises of the store hold."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from agentkit.intents import IntentModel
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing.crash_ledger import Ledger, broken_promises
from tests.agent.desk import intents
from tests.agent.kill_agent import MESSAGES, NO_KILL, USER, Job, open_agent, play
from tests.store.process import run_file

IDEMPOTENT: Final = "an idempotent effect"

pytestmark = pytest.mark.kill


@pytest.fixture(scope="module")
def model() -> IntentModel:
    return intents()


def kill_all(jobs: list[Job], folder: Path) -> None:
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    assert json.loads(run_file("tests/agent/kill_agent.py", path)) == [signal.SIGKILL] * len(jobs)


def job(folder: Path, scenario: str, kill_at: int, *, resume: bool = False) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(folder=str(folder), scenario=scenario, kill_at=kill_at, resume=resume)


def problems_after(folder: Path, scenario: str, model: IntentModel) -> list[str]:
    """Look at what a kill left, resume, and look again; the conversation must go on."""
    ledger, users = Ledger(folder), [("default", USER)]
    agent = open_agent(folder, scenario, model, lambda point: None)
    store = agent.store
    assert isinstance(store, SqliteStore)
    journal = [row for left in store.open_turns() for row in left.journal]
    repeatable = [row.call.id for row in journal] if scenario == IDEMPOTENT else []
    broken = broken_promises(store, users, ledger, repeatable=repeatable, every_message_is_remembered=False)
    in_doubt = {row.call.id for left in store.open_turns() for row in left.in_doubt}
    replies = agent.resume()
    broken += [f"a turn is still open: {left.turn.id}" for left in store.open_turns()]
    broken += broken_promises(store, users, ledger, repeatable=repeatable, every_message_is_remembered=False)
    if scenario != IDEMPOTENT:
        broken += [
            f"{call} was done {n} times" for call, n in Counter(ledger.read("effect")).items() if n > 1
        ]
    if in_doubt and not any("can't tell whether it went through" in reply.text for reply in replies):
        broken.append(f"nobody was told that {in_doubt} are in doubt: {[reply.text for reply in replies]}")
    # With a confirmation still on the table, its question follows the answer.
    if not agent.ask("Thank you!", user=USER).text.startswith("You are welcome"):
        broken.append("the conversation does not go on")
    store.close()
    return broken


@pytest.mark.parametrize("scenario", MESSAGES)
def test_a_kill_at_any_point_of_a_turn_breaks_no_promise(
    scenario: str, model: IntentModel, tmp_path: Path
) -> None:
    points = play(job(tmp_path / "whole", scenario, NO_KILL), model)
    assert {"after:accept", "inside:commit_turn"} <= set(points)
    jobs = [job(tmp_path / str(number), scenario, number) for number in range(len(points))]
    kill_all(jobs, tmp_path)
    broken = {
        f"{number} {point}": problems
        for number, point in enumerate(points)
        if (problems := problems_after(tmp_path / str(number), scenario, model))
    }
    assert broken == {}


def test_a_second_kill_while_an_effect_is_resumed_breaks_no_promise(
    model: IntentModel, tmp_path: Path
) -> None:
    scenario = "an effect with an argument that the generator chose"
    points = play(job(tmp_path / "whole", scenario, NO_KILL), model)
    start = points.index("after:start_call")
    first = [job(tmp_path / str(number), scenario, number) for number in range(start, len(points) - 3)]
    kill_all(first, tmp_path)
    kill_all([job(Path(each["folder"]), scenario, 1, resume=True) for each in first], tmp_path)
    broken = {
        each["folder"]: problems
        for each in first
        if (problems := problems_after(Path(each["folder"]), scenario, model))
    }
    assert broken == {}
