"""SIGKILL at every point of a turn: nothing torn, no accepted message lost, no effect done twice."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from agentkit.messages import text_of
from agentkit.store.protocol import TurnRecord
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing.crash_ledger import Ledger, broken_promises
from tests.store.kill_turn import NO_KILL, SCENARIOS, TENANT, USER, Job, Player, play
from tests.store.process import run_file
from tests.store.samples import open_store, say

USERS: Final = [(TENANT, USER)]
EARLIER: Final = "Do you deliver to Wales?"

pytestmark = pytest.mark.kill


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one committed turn, which no kill may harm."""
    folder = tmp_path_factory.mktemp("template")
    with open_store(folder) as store:
        ada = store.for_user(TENANT, USER)
        say(ada, ada.new_conversation(), EARLIER)
    return folder


def points_of(template: Path, folder: Path, scenario: str) -> list[str]:
    """The names of the points that the turn passes when nobody kills it."""
    shutil.copytree(template, folder / "whole")
    return play(Job(folder=str(folder / "whole"), scenario=scenario, kill_at=NO_KILL, resume=False))


def kill_all(jobs: list[Job], folder: Path) -> None:
    """Play every job in a process that must die by SIGKILL."""
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    assert json.loads(run_file("tests/store/kill_turn.py", path)) == [signal.SIGKILL] * len(jobs)


def turn_of(store: SqliteStore, message: str) -> TurnRecord | None:
    """The committed turn of a message, if there is one."""
    ada = store.for_user(TENANT, USER)
    for conversation in ada.conversations():
        said = [text_of(each) for each in ada.transcript(conversation.id) if each.role == "user"]
        done = [turn for turn in ada.turns(conversation.id) if turn.status == "done"]
        if message in said:
            return done[said.index(message)]
    return None


def resume_and_check(folder: Path, scenario: str) -> list[str]:
    """Go on after a kill as the contract says; gives what was broken before, by, or after that."""
    ledger, played = Ledger(folder), SCENARIOS[scenario]
    repeatable = played.call_ids if played.idempotent else []
    with open_store(folder) as store:
        broken = broken_promises(store, USERS, ledger, repeatable=repeatable)
        left = store.open_turns()
        recorded = [f"{turn.turn.id}/{step.seq}" for turn in left for step in turn.steps]
        paid_before = Counter(ledger.read("generated"))
        for turn in left:
            Player(store, played, ledger, lambda point: None).resume(turn)
        paid = Counter(ledger.read("generated")) - paid_before
        broken += [f"3 a finished step never runs again: {step}" for step in recorded if step in paid]
        broken += [f"a turn is still open: {turn.turn.id}" for turn in store.open_turns()]
        if ledger.read("accepted") and turn_of(store, played.message) is None:
            broken.append("1 accepted = stored: the message was not answered")
        broken += broken_promises(store, USERS, ledger, repeatable=repeatable)

        ada = store.for_user(TENANT, USER)
        conversation = ada.latest_conversation() or ada.new_conversation()
        say(ada, conversation, "And then?")  # the conversation goes on
    return broken


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_point_of_a_turn_breaks_no_promise(
    scenario: str, template: Path, tmp_path: Path
) -> None:
    points = points_of(template, tmp_path, scenario)
    folders = [shutil.copytree(template, tmp_path / f"{number}") for number in range(len(points))]
    kill_all(
        [
            Job(folder=str(folder), scenario=scenario, kill_at=number, resume=False)
            for number, folder in enumerate(folders)
        ],
        tmp_path,
    )
    broken = {
        f"{number} {point}": problems
        for number, (point, folder) in enumerate(zip(points, folders, strict=True))
        if (problems := resume_and_check(folder, scenario))
    }
    assert broken == {}


@pytest.mark.parametrize("scenario", ["write tool", "idempotent write tool", "two calls at once"])
def test_a_second_kill_while_the_turn_is_resumed_breaks_no_promise(
    scenario: str, template: Path, tmp_path: Path
) -> None:
    points = points_of(template, tmp_path, scenario)
    first = [
        Job(
            folder=str(shutil.copytree(template, tmp_path / str(number))),
            scenario=scenario,
            kill_at=number,
            resume=False,
        )
        for number in range(4, len(points) - 3, 3)
    ]
    kill_all(first, tmp_path)
    second: list[Job] = []
    for job in first:
        # The resumed turn passes at least the three points of its commit.
        for number in range(3):
            folder = shutil.copytree(job["folder"], f"{job['folder']}-{number}")
            second.append(Job(folder=str(folder), scenario=scenario, kill_at=number, resume=True))
    kill_all(second, tmp_path)
    broken = {
        job["folder"]: found for job in second if (found := resume_and_check(Path(job["folder"]), scenario))
    }
    assert broken == {}


def test_a_kill_while_the_database_is_made_leaves_one_that_opens(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = Job(folder=str(tmp_path / "whole"), scenario="no tool", kill_at=NO_KILL, resume=False)
    points = play(whole)
    before_the_turn = points.index("before:begin_turn")
    assert points[:3] == ["before:migrate", "inside:migrate", "after:migrate"]
    folders = [tmp_path / str(number) for number in range(before_the_turn)]
    for folder in folders:
        folder.mkdir()
    kill_all(
        [
            Job(folder=str(folder), scenario="no tool", kill_at=number, resume=False)
            for number, folder in enumerate(folders)
        ],
        tmp_path,
    )
    for folder in folders:
        assert resume_and_check(folder, "no tool") == []


@pytest.mark.parametrize(
    ("scenario", "point", "status", "effects"),
    [
        ("write tool", "after:start_call", "unknown", 0),
        ("write tool", "before:effect", "unknown", 0),
        ("write tool", "after:effect", "unknown", 1),
        ("write tool", "inside:finish_call", "unknown", 1),
        ("write tool", "after:finish_call", "finished", 1),
        ("write tool", "before:start_call", "finished", 1),
        ("idempotent write tool", "after:effect", "finished", 2),
    ],
)
def test_a_call_in_doubt_is_shown_and_not_repeated(
    scenario: str, point: str, status: str, effects: int, template: Path, tmp_path: Path
) -> None:
    number = points_of(template, tmp_path, scenario).index(point)
    folder = shutil.copytree(template, tmp_path / "killed")
    kill_all([Job(folder=str(folder), scenario=scenario, kill_at=number, resume=False)], tmp_path)
    assert resume_and_check(folder, scenario) == []
    assert len(Ledger(folder).read("effect")) == effects
    with open_store(folder) as store:
        turn = turn_of(store, SCENARIOS[scenario].message)
        assert turn is not None
        [row] = store.for_user(TENANT, USER).journal(turn.id)
        assert row.status == status
        assert row.result is not None
        assert (row.result.status == "unknown") is (status == "unknown")


def test_the_check_finds_what_it_is_for(template: Path, tmp_path: Path) -> None:
    """A check that cannot fail proves nothing: here is a world that the database contradicts."""
    folder = shutil.copytree(template, tmp_path / "killed")
    points = points_of(template, tmp_path, "write tool")
    job = Job(
        folder=str(folder), scenario="write tool", kill_at=points.index("after:start_call"), resume=False
    )
    kill_all([job], tmp_path)
    ledger = Ledger(folder)
    for kind, text in (
        ("accepted", "lost"),
        ("committed", "torn"),
        ("effect", "call-1"),
        ("effect", "call-1"),
    ):
        ledger.write(kind, text)  # type: ignore[arg-type]
    with open_store(folder) as store:
        found = broken_promises(store, USERS, ledger)
    assert [problem[0] for problem in sorted(found)] == ["1", "2", "4"]


def test_at_least_sixty_kills_are_made(template: Path, tmp_path: Path) -> None:
    made = 0
    for number, scenario in enumerate(SCENARIOS):
        (tmp_path / str(number)).mkdir()
        made += len(points_of(template, tmp_path / str(number), scenario))
    assert made >= 60
