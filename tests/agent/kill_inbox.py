"""A sender sends four messages to one conversation, and the agent dies at a chosen point: `kill_inbox.py JOBS`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Final

from agentkit.agent.reply import fold
from agentkit.intents import IntentModel
from agentkit.store.protocol import BusyPolicy
from agentkit.testing.crash_ledger import Ledger
from tests.agent.desk import intents
from tests.agent.kill_agent import USER, Job, open_agent
from tests.forks import done_in_forks

SENT: Final[tuple[tuple[str, BusyPolicy], ...]] = (
    ("cancel my order 1042", "enqueue"),
    ("thank you", "enqueue"),
    ("thanks a lot", "merge"),
    ("many thanks to you", "enqueue"),
)
SCENARIO: Final = "a stored answer"  # of the script that the generator has: it is not asked


def play(job: Job, model: IntentModel) -> list[str]:
    """Send all messages, each under its name, then read the replies; gives the points passed, if it lives."""
    passed: list[str] = []

    def at(point: str) -> None:
        if len(passed) == job["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        passed.append(point)

    folder = Path(job["folder"])
    ledger = Ledger(folder)
    agent = open_agent(folder, SCENARIO, model, at)
    store = agent.store.for_user("default", USER)
    conversation = store.latest_conversation() or store.new_conversation()
    streams = []
    for text, policy in SENT:
        streams.append(
            agent.stream(text, user=USER, conversation=conversation, client_msg_id=text, when_busy=policy)
        )
        ledger.write("accepted", text)
    for (text, _), stream in zip(SENT, streams, strict=True):
        fold(stream)
        ledger.write("committed", text)
    agent.store.close()
    return passed


def main() -> None:
    """Play each job in a fork of its own and print how they ended: a signal's number, or 0."""
    model = intents()
    jobs = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps(done_in_forks(jobs, lambda job: play(job, model))))


if __name__ == "__main__":
    main()
