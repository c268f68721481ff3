"""`agentkit desk` as people type it, in processes of its own, on a database that a bot has written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from agentkit.agent import Agent
from agentkit.messages import text_of
from agentkit.store.sqlite_store import SqliteStore
from tests.agent.test_hand_off import office

PROGRAM: Final = (sys.executable, "-m", "agentkit", "desk")


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A bot folder whose customers ada and ben want a person."""
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / "agent.yaml").write_text("name: shop\ndesk: {team: our team}\n")
    with office(tmp_path) as agent:
        for user in ("ada", "ben"):
            agent.ask("I want to talk to a human", user=user)
    return folder


def run(bot: Path, *words: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    database = ["--database", str(bot.parent / "agent.db")]
    command = [*PROGRAM, words[0], str(bot), *words[1:], *database]
    given = {"input": typed} if typed is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **given)


def said(bot: Path, user: str) -> list[str]:
    with SqliteStore.open(bot.parent / "agent.db") as store:
        mine = store.for_user("default", user)
        conversation = mine.latest_conversation()
        assert conversation is not None
        return [text_of(message) for message in mine.transcript(conversation) if message.parts]


def test_a_conversation_is_taken_answered_and_given_back_step_by_step(bot: Path) -> None:
    queue = json.loads(run(bot, "list", "--json").stdout)
    assert [(each["user"], each["status"]) for each in queue] == [("ada", "waiting"), ("ben", "waiting")]
    shown = json.loads(run(bot, "show", queue[0]["id"][-8:], "--json").stdout)
    assert shown["transcript"][0] == {"speaker": "ada", "text": "I want to talk to a human"}
    assert "ada" in run(bot, "take", "ada", "--by", "Anna").stdout
    for _ in range(2):
        done = run(bot, "answer", "ada", "Hello from Anna", "--by", "Anna", "--id", "a1")
        assert done.returncode == 0, done.stderr
    assert said(bot, "ada").count("Hello from Anna") == 1
    refused = run(bot, "answer", "ada", "Me, too", "--by", "Bob")
    assert (refused.returncode, "Anna has hand-off" in refused.stderr) == (2, True)
    assert run(bot, "give-back", "ada", "--by", "Anna", "--note", "all fine").returncode == 0
    assert said(bot, "ada")[-1] == "Anna has handed you back to me. What else can I do for you?"
    assert [each["user"] for each in json.loads(run(bot, "list", "--json").stdout)] == ["ben"]


def test_a_session_at_the_desk_does_what_is_typed(bot: Path) -> None:
    typed = "/help\nhello?\n/take ben\nHello, this is Anna.\n/fly\n/close called\n/list\n"
    command = [*PROGRAM, str(bot), "--by", "Anna", "--database", str(bot.parent / "agent.db")]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, check=True, timeout=120)
    assert "You have no conversation" in done.stderr
    assert "/fly is no command" in done.stdout
    assert said(bot, "ben")[-1] == "Hello, this is Anna."
    with SqliteStore.open(bot.parent / "agent.db") as store:
        (over,) = [each for each in store.past_hand_offs() if each.user == "ben"]
    assert (over.status, over.note, over.person) == ("closed", "called", "Anna")


@pytest.mark.slow
def test_of_several_people_who_take_the_same_one_at_once_one_has_it(bot: Path) -> None:
    database = ["--database", str(bot.parent / "agent.db")]
    people = [f"person {number}" for number in range(4)]
    running = [
        subprocess.Popen(
            [*PROGRAM, "take", str(bot), "ada", "--by", name, *database],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in people
    ]
    ends = [process.wait(timeout=120) for process in running]
    assert sorted(ends) == [0, 2, 2, 2]
    with SqliteStore.open(bot.parent / "agent.db") as store:
        (taken,) = [each for each in store.queue() if each.status == "taken"]
    assert taken.person == people[ends.index(0)]


def test_what_is_wrong_is_said_with_what_to_do(bot: Path, tmp_path: Path) -> None:
    nobody = run(bot, "take", "zoe", "--by", "Anna")
    assert (nobody.returncode, "desk list BOT" in nobody.stderr) == (2, True)
    unnamed = run(bot, "take", "ada", "--by", " ")
    assert unnamed.returncode == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "agent.yaml").write_text("name: new\n")
    untouched = subprocess.run(
        [*PROGRAM, "list", str(empty), "--database", str(tmp_path / "no.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (untouched.returncode, "no database yet" in untouched.stderr) == (2, True)


def test_the_chat_of_a_customer_hears_what_a_person_said(tmp_path: Path) -> None:
    agent: Agent
    with office(tmp_path) as agent:
        agent.ask("I want to talk to a human", user="ada")
        taken = agent.hand_offs.take(agent.hand_offs.find("ada"), by="Anna")
        agent.hand_offs.answer(taken, "I was here.")
        events = agent.store.for_user("default", "ada")
        last = events.turns(taken.conversation_id, last=1)[0]
        assert [event.type for event in events.events(last.id)] == [
            "turn_started",
            "person_answered",
            "replied",
            "turn_finished",
        ]
