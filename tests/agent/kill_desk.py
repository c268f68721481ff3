"""A customer and a person of the desk talk, and the process dies at a chosen point: `kill_desk.py JOBS`.

Played again, everybody does again what they cannot know to have worked: messages and answers under the same names.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Final

from agentkit.agent import Agent, Settings
from agentkit.agent.hours import DeskSettings
from agentkit.agent.reply import fold
from agentkit.intents import IntentModel
from agentkit.messages import ToolCall
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing import FixedClock, HashingEncoder, ScriptedGenerator
from agentkit.testing.crash_ledger import Ledger
from tests.agent.desk import BINDINGS, intents
from tests.agent.kill_agent import USER, Job, Point, shop
from tests.forks import done_in_forks

ASKED: Final = ("I want to talk to a human", "my order is 1042", "are you still there?", "thanks a lot")
ANSWERED: Final = ("Hello, this is Anna.", "It is cancelled.")
CALL: Final = ToolCall(id="", name="cancel_order", arguments={"order_id": "1042"})


def open_office(folder: Path, model: IntentModel, at: Point) -> Agent:
    """The agent of a job."""
    return Agent(
        generator=ScriptedGenerator([]),
        encoder=HashingEncoder(256),
        tools=shop(Ledger(folder), at),
        database=SqliteStore.open(folder / "agent.db", on_write=at),
        intents=model,
        bindings=BINDINGS,
        settings=Settings(desk=DeskSettings()),
        now=FixedClock(),
    )


def play(job: Job, model: IntentModel) -> list[str]:
    """Do all of it, dying at the point of the job's number; gives the points that were passed."""
    passed: list[str] = []

    def at(point: str) -> None:
        if len(passed) == job["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        passed.append(point)

    folder = Path(job["folder"])
    agent = open_office(folder, model, at)
    ledger = Ledger(folder)
    store = agent.store.for_user("default", USER)
    conversation = store.latest_conversation() or store.new_conversation()

    def send(text: str) -> None:
        stream = agent.stream(text, user=USER, conversation=conversation, client_msg_id=text)
        ledger.write("accepted", text)
        fold(stream)

    send(ASKED[0])
    if active := [each for each in agent.hand_offs.queue() if each.user == USER]:
        send(ASKED[1])
        taken = agent.hand_offs.take(active[0], by="Anna")
        agent.hand_offs.answer(taken, ANSWERED[0], client_msg_id="first")
        journals = [row for turn in store.turns(conversation) for row in store.journal(turn.id)]
        if not any(row.status == "finished" for row in journals):
            list(agent.call_as_person(taken, CALL, lambda call: not call.in_doubt))
        send(ASKED[2])
        agent.hand_offs.answer(taken, ANSWERED[1], client_msg_id="second")
        send(ASKED[3])
        agent.hand_offs.give_back(taken, note="cancelled")
    agent.resume()
    agent.store.close()
    return passed


def main() -> None:
    """Play each job in a fork of its own and print how they ended: a signal's number, or 0."""
    model = intents()
    jobs = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps(done_in_forks(jobs, lambda job: play(job, model))))


if __name__ == "__main__":
    main()
