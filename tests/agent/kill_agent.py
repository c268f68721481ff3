"""An agent answers one message and kills itself, with SIGKILL, at a chosen point; then it can be resumed.

Started by test_agent_kills as a process of its own: `kill_agent.py JOBS`; each job runs in a fork of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, TypedDict

from pydantic import Field

from agentkit.agent import Agent
from agentkit.intents import Binding, IntentModel
from agentkit.service.loading import load_flows
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing import Calls, FixedClock, HashingEncoder, ScriptedGenerator, ScriptStep
from agentkit.testing.crash_ledger import Ledger
from agentkit.tools import Authority, Tool, ToolContext, tool
from tests.agent.desk import BINDINGS, intents
from tests.forks import done_in_forks

USER: Final = "ada"
NO_KILL: Final = -1
BEFORE: Final[Mapping[str, str]] = {"an effect that a flow was told to make": "cancel my order 1042"}
"""What was said in the turn before, by scenario: nothing is killed in it, and the bot has flows."""
FLOWS: Final = Path(__file__).parent / "flows"
Point = Callable[[str], None]

MESSAGES: Final[Mapping[str, tuple[str, Sequence[ScriptStep]]]] = {
    "a stored answer": ("Thank you!", []),
    "a tool that looks": ("where is my order 1042", []),
    "an effect with arguments that the user determined": ("cancel my order 1042", []),
    "an effect with an argument that the generator chose": (
        "the table is broken",
        [Calls([("create_ticket", {"problem": "the table is broken"})])],
    ),
    "an effect that a flow was told to make": ("yes", []),
    "an idempotent effect": (
        "change the address of my order 1042 to Quay Street",
        [Calls([("change_address", {"order_id": "1042", "street": "Quay Street"})])],
    ),
    "a question for a missing argument": ("I want to cancel an order", []),
    "out of scope": ("who won the football match", []),
}


class Job(TypedDict):
    """What one process is to do: answer or resume, and die at the point of this number."""

    folder: str
    scenario: str
    kill_at: int
    resume: bool


def shop(ledger: Ledger, at: Point) -> list[Tool]:
    """Tools whose effects are lines of the ledger, which outlives the process."""
    OrderId = Annotated[str, Field(pattern=r"^\d{4}$"), Authority()]

    def effect(context: ToolContext) -> None:
        at("before:effect")
        ledger.write("effect", context.call_id)
        at("after:effect")

    @tool(effect="read")
    def track_parcel(order_id: OrderId) -> str:
        """Where an order is."""
        return f"{order_id} is in Porto"

    @tool(effect="read")
    def list_orders() -> str:
        """All orders."""
        return "1042"

    @tool(effect="write")
    def cancel_order(context: ToolContext, order_id: OrderId) -> str:
        """Cancel an order."""
        effect(context)
        return f"{order_id} is cancelled"

    @tool(effect="write")
    def create_ticket(context: ToolContext, problem: str) -> str:
        """Let a person look at a problem."""
        effect(context)
        return f"ticket about {problem}"

    @tool(effect="write", idempotent=True)
    def change_address(context: ToolContext, order_id: OrderId, street: Annotated[str, Authority()]) -> str:
        """Send an order to another street."""
        effect(context)
        return f"{order_id} goes to {street}"

    return [track_parcel, list_orders, cancel_order, create_ticket, change_address]


def open_agent(folder: Path, scenario: str, model: IntentModel, at: Point) -> Agent:
    """The agent of a job; the generator knows the script of the scenario."""
    bindings: Mapping[str, Binding] = BINDINGS
    tools, flows = shop(Ledger(folder), at), None
    if scenario in BEFORE:
        flows = load_flows(FLOWS, tools)
        bindings = {name: each for name, each in BINDINGS.items() if name in ("track", "thanks", "person")}
    replies = folder / "replies"
    replies.mkdir(exist_ok=True)
    for name in ("track_parcel", "cancel_order", "create_ticket", "change_address"):
        (replies / f"{name}.jinja").write_text("Done: {{ result }}")
    return Agent(
        generator=ScriptedGenerator(MESSAGES[scenario][1]),
        encoder=HashingEncoder(256),
        tools=tools,
        database=SqliteStore.open(folder / "agent.db", on_write=at),
        intents=model,
        bindings=bindings,
        reply_folder=replies,
        flows=flows,
        now=FixedClock(),
    )


def play(job: Job, model: IntentModel) -> list[str]:
    """Do a job in this process; gives the points that it passed, if it lives."""
    passed: list[str] = []

    def at(point: str) -> None:
        if len(passed) == job["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        passed.append(point)
        if point == "after:accept":
            ledger.write("accepted", message)
        if point == "after:commit_turn":
            ledger.write("committed", message)

    folder, message = Path(job["folder"]), MESSAGES[job["scenario"]][0]
    ledger = Ledger(folder)
    if job["scenario"] in BEFORE and not job["resume"]:
        earlier = open_agent(folder, job["scenario"], model, lambda point: None)
        assert earlier.ask(BEFORE[job["scenario"]], user=USER).text == "Cancel order 1042?"
        earlier.store.close()
    agent = open_agent(folder, job["scenario"], model, at)
    if job["resume"]:
        agent.resume()
    else:
        agent.ask(message, user=USER)
    agent.store.close()
    return passed


def main() -> None:
    """Play each job in a fork of its own and print how they ended: a signal's number, or 0."""
    model = intents()
    jobs = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps(done_in_forks(jobs, lambda job: play(job, model))))


if __name__ == "__main__":
    main()
