"""Plays a turn on a store and kills itself, with SIGKILL, at a chosen point; then the turn can be resumed.

Started by test_store_kills as a process of its own: `kill_turn.py JOBS`. JOBS is a JSON file with a list of
jobs; each is played in a fork of this process, so that a kill costs no interpreter start.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypedDict

import numpy

from agentkit.messages import Assistant, ToolCall, ToolEffect, ToolResult, assistant, tool_result, user
from agentkit.store.protocol import JournalRow, OpenTurn, UserStore
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing.crash_ledger import Ledger
from tests.forks import done_in_forks
from tests.store.samples import memory, remembered, trace

TENANT: Final = "shop"
USER: Final = "ada"
NO_KILL: Final = -1

Point = Callable[[str], None]


@dataclass(frozen=True)
class Scenario:
    """One turn: what the generator writes, step by step, and what the tools are like.

    Args:
        message: What the user says.
        calls: The calls of each generation; the last generation, without calls, is the reply.
        effect: Of all tools.
        idempotent: Of all tools.
    """

    message: str
    calls: tuple[tuple[ToolCall, ...], ...] = ()
    effect: ToolEffect = "write"
    idempotent: bool = False

    @property
    def generations(self) -> list[Assistant]:
        """What the generator writes, in order."""
        return [*(assistant("", calls) for calls in self.calls), assistant(f"Answer to: {self.message}")]

    @property
    def call_ids(self) -> list[str]:
        """The ids of all calls."""
        return [call.id for calls in self.calls for call in calls]


def _call(number: int) -> ToolCall:
    return ToolCall(id=f"call-{number}", name="cancel_order", arguments={"order_id": f"104{number}"})


SCENARIOS: Final = {
    "no tool": Scenario("Hello, who are you?"),
    "read tool": Scenario("Where is order 1041?", ((_call(1),),), effect="read"),
    "write tool": Scenario("Cancel order 1041", ((_call(1),),)),
    "idempotent write tool": Scenario("Change my address", ((_call(1),),), idempotent=True),
    "two calls at once": Scenario("Cancel both", ((_call(1), _call(2)),)),
    "two calls in a row": Scenario("Cancel one, then the other", ((_call(1),), (_call(2),))),
}


class Job(TypedDict):
    """What one process is to do: play or resume a scenario and die at the point of this number."""

    folder: str
    scenario: str
    kill_at: int
    resume: bool


@dataclass
class Player:
    """An agent without a model: it plays a scenario by the rules of `agentkit.store.protocol`.

    Args:
        store: The database.
        scenario: What to play.
        ledger: What leaves the process is written there.
        at: Told of each point that the effect of a tool passes; the store tells of its own.
    """

    store: SqliteStore
    scenario: Scenario
    ledger: Ledger
    at: Point
    journal: dict[str, JournalRow] = field(default_factory=dict)
    steps: list[Assistant | ToolResult] = field(default_factory=list)

    @property
    def mine(self) -> UserStore:
        """The part of the store that the turn belongs to."""
        return self.store.for_user(TENANT, USER)

    def play(self) -> None:
        """The turn from its beginning."""
        conversation = self.mine.latest_conversation()
        assert conversation is not None
        turn = self.mine.begin_turn(conversation, user(self.scenario.message))
        self.ledger.write("accepted", self.scenario.message)
        self._go_on(turn.id)

    def resume(self, left: OpenTurn) -> None:
        """The rest of a turn that a crash interrupted."""
        self.steps = [step.message for step in left.steps]
        self.journal = {row.call.id: row for row in left.journal}
        self._go_on(left.turn.id)

    def _go_on(self, turn_id: str) -> None:
        recorded = [step for step in self.steps if isinstance(step, Assistant)]
        for number, generation in enumerate(self.scenario.generations):
            if number >= len(recorded):
                self.ledger.write("generated", f"{turn_id}/{len(self.steps)}")
                self.mine.record_step(turn_id, len(self.steps), generation)
                self.steps.append(generation)
            for call in generation.calls:
                if not any(isinstance(step, ToolResult) and step.call_id == call.id for step in self.steps):
                    self.steps.append(self._run(turn_id, call))
        reply = self.scenario.generations[-1]
        self.mine.commit_turn(
            turn_id,
            reply=reply,
            events=trace(turn_id, "said"),
            memories=[
                remembered(self.scenario.message),
                memory("a fact", numpy.eye(3, dtype=numpy.float32)[1]),
            ],
            status="done",
        )
        self.ledger.write("committed", self.scenario.message)

    def _run(self, turn_id: str, call: ToolCall) -> ToolResult:
        """A read needs no journal, a call in doubt is not repeated, and any other runs after its row."""
        result = tool_result(call, f"{call.name} is done")
        row = self.journal.get(call.id)
        if self.scenario.effect == "read":
            self.mine.record_step(turn_id, len(self.steps), result)
            return result
        if row is not None and row.in_doubt:
            unknown = tool_result(call, "nobody knows", status="unknown")
            self.mine.resolve_call(turn_id, call.id, unknown)
            return unknown
        if row is None or row.status == "written":
            self.mine.start_call(
                turn_id, call, effect=self.scenario.effect, idempotent=self.scenario.idempotent
            )
        self.at("before:effect")
        self.ledger.write("effect", call.id)
        self.at("after:effect")
        self.mine.finish_call(turn_id, result)
        return result


def play(job: Job) -> list[str]:
    """Do a job in this process; gives the points that it passed, if it lives."""
    passed: list[str] = []

    def at(point: str) -> None:
        if len(passed) == job["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        passed.append(point)

    folder = Path(job["folder"])
    with SqliteStore.open(folder / "agentkit.db", on_write=at) as store:
        player = Player(store, SCENARIOS[job["scenario"]], Ledger(folder), at)
        if job["resume"]:
            for left in store.open_turns():
                player.resume(left)
        else:
            if player.mine.latest_conversation() is None:
                player.mine.new_conversation()
            player.play()
    return passed


def main() -> None:
    """Play each job in a fork of its own and print how they ended: a signal's number, or 0."""
    print(json.dumps(done_in_forks(json.loads(Path(sys.argv[1]).read_text()), play)))


if __name__ == "__main__":
    main()
