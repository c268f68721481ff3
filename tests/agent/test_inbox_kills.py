"""SIGKILL at every write while messages wait: the sender sends all of them again, and each is answered once."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from agentkit.intents import IntentModel
from agentkit.messages import User
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing.crash_ledger import Ledger, broken_promises
from tests.agent.desk import intents
from tests.agent.kill_agent import NO_KILL, USER, Job
from tests.agent.kill_inbox import SENT, play
from tests.store.process import run_file

pytestmark = pytest.mark.kill


def job(folder: Path, kill_at: int) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(folder=str(folder), scenario="inbox", kill_at=kill_at, resume=False)


def problems_after(folder: Path, model: IntentModel) -> list[str]:
    ledger, users = Ledger(folder), [("default", USER)]
    with SqliteStore.open(folder / "agent.db") as store:
        broken = broken_promises(store, users, ledger, every_message_is_remembered=False)
    play(job(folder, NO_KILL), model)
    everyone = Counter(ledger.read("accepted"))
    with SqliteStore.open(folder / "agent.db") as store:
        ada = store.for_user("default", USER)
        (conversation,) = ada.conversations()
        said = [part.text for m in ada.transcript(conversation.id) if isinstance(m, User) for part in m.parts]
        if said != [text for text, _ in SENT]:
            broken.append(f"it was said: {said}")
        if store.unattended() or store.open_turns():
            broken.append("something is left")
        broken += [f"soundness: {problem}" for problem in store.problems()]
    if any(count > 1 for count in Counter(ledger.read("effect")).values()):
        broken.append("an effect happened twice")
    assert set(everyone) == {text for text, _ in SENT}
    return broken


def test_a_kill_while_messages_wait_loses_doubles_and_reorders_none(tmp_path: Path) -> None:
    model = intents()
    points = play(job(tmp_path / "whole", NO_KILL), model)
    assert {"inside:accept", "inside:claim", "inside:commit_turn", "inside:start_call"} <= set(points)
    jobs = [job(tmp_path / str(number), number) for number in range(len(points))]
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps(jobs))
    assert json.loads(run_file("tests/agent/kill_inbox.py", path)) == [signal.SIGKILL] * len(jobs)
    broken = {
        f"{number} {point}": problems
        for number, point in enumerate(points)
        if (problems := problems_after(tmp_path / str(number), model))
    }
    assert broken == {}
