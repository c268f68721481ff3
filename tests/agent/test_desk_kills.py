"""SIGKILL at every write of a conversation with a person: nothing is lost, doubled or out of order."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from agentkit.intents import IntentModel
from agentkit.messages import Assistant, User
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing.crash_ledger import Ledger
from tests.agent.desk import intents
from tests.agent.kill_agent import NO_KILL, USER, Job
from tests.agent.kill_desk import ANSWERED, ASKED, play
from tests.store.process import run_file

pytestmark = pytest.mark.kill


def job(folder: Path, kill_at: int) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(folder=str(folder), scenario="desk", kill_at=kill_at, resume=False)


def problems_after(folder: Path, model: IntentModel) -> list[str]:
    with SqliteStore.open(folder / "agent.db") as store:
        accepted = Ledger(folder).read("accepted")
        kept = said_by_customer(store)
        broken = [f"lost: {text}" for text in accepted if text not in kept]
    play(job(folder, NO_KILL), model)
    with SqliteStore.open(folder / "agent.db") as store:
        broken += said_wrongly(store)
        (record,) = store.for_user("default", USER).hand_offs(
            store.for_user("default", USER).conversations()[0].id
        )
        if (record.status, record.note, record.person) != ("given_back", "cancelled", "Anna"):
            broken.append(f"the hand-off ended as {record}")
        if store.unattended() or store.open_turns() or store.queue():
            broken.append("something is left")
        broken += [f"soundness: {problem}" for problem in store.problems()]
    if len(Ledger(folder).read("effect")) > 1:
        broken.append("an effect happened twice")
    return broken


def said_by_customer(store: SqliteStore) -> list[str]:
    """What the store holds of the customer, answered, being answered or waiting."""
    ada = store.for_user("default", USER)
    messages = []
    for conversation in ada.conversations():
        messages += [m for m in ada.transcript(conversation.id) if isinstance(m, User)]
        messages += [turn.message for turn in store.open_turns()]
        messages += [each.message for each in ada.waiting(conversation.id) if each.message is not None]
    return [part.text for message in messages for part in message.parts]


def said_wrongly(store: SqliteStore) -> list[str]:
    ada = store.for_user("default", USER)
    transcript = ada.transcript(ada.conversations()[0].id)
    answers = [m.parts[0].text for m in transcript if isinstance(m, Assistant) and m.by and m.parts]
    asked = said_by_customer(store)
    return [
        *([] if asked == list(ASKED) else [f"it was asked: {asked}"]),
        *([] if answers == list(ANSWERED) else [f"it was answered: {answers}"]),
    ]


def test_a_kill_on_either_side_loses_doubles_and_reorders_nothing(tmp_path: Path) -> None:
    model = intents()
    points = play(job(tmp_path / "whole", NO_KILL), model)
    assert problems_after(tmp_path / "whole", model) == []
    assert {"inside:take_hand_off", "inside:claim_for_person", "inside:start_call"} <= set(points)
    assert "before:effect" in points
    jobs = [job(tmp_path / str(number), number) for number in range(len(points))]
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps(jobs))
    assert json.loads(run_file("tests/agent/kill_desk.py", path)) == [signal.SIGKILL] * len(jobs)
    broken = {
        f"{number} {point}": problems
        for number, point in enumerate(points)
        if (problems := problems_after(tmp_path / str(number), model))
    }
    assert broken == {}
