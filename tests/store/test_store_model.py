"""Random sequences of writes and restarts, compared with a model of a few lines."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentkit.errors import Busy, TurnConflict
from agentkit.messages import Message, ToolCall, ToolResult, User, assistant, tool_result, user
from agentkit.store.protocol import UserStore
from tests.store.samples import memory, open_store, trace


@dataclass
class ModelTurn:
    """What a turn must hold.

    Args:
        id: The store's id.
        message: What the user said.
        steps: What was recorded.
        calls: Status of each call, by id.
        status: `open` or how it ended.
        said: What it adds to the transcript.
    """

    id: str
    message: User
    steps: list[Message] = field(default_factory=list)
    calls: dict[str, tuple[ToolCall, str]] = field(default_factory=dict)
    status: str = "open"
    said: list[Message] = field(default_factory=list)


class StoreMachine(RuleBasedStateMachine):
    """Drives a store with one user and two conversations."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = open_store(self.folder)
        self.conversations: dict[str, list[ModelTurn]] = {self.ada.new_conversation(): [] for _ in range(2)}
        self.made = 0

    @property
    def ada(self) -> UserStore:
        return self.store.for_user("shop", "ada")

    def open_turns(self) -> list[ModelTurn]:
        return [turn for turns in self.conversations.values() for turn in turns if turn.status == "open"]

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(which=st.integers(0, 1), text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
    def begin(self, which: int, text: str) -> None:
        conversation = list(self.conversations)[which]
        turns = self.conversations[conversation]
        is_busy = any(turn.status == "open" for turn in turns)
        try:
            turn = self.ada.begin_turn(conversation, user(text))
        except Busy:
            assert is_busy
        else:
            assert not is_busy
            turns.append(ModelTurn(turn.id, user(text)))

    @precondition(lambda self: self.open_turns())
    @rule(data=st.data(), count=st.integers(0, 2), offset=st.sampled_from([0, 0, 0, -1, 1]))
    def generate(self, data: st.DataObject, count: int, offset: int) -> None:
        turn = data.draw(st.sampled_from(self.open_turns()))
        calls = [ToolCall(id=f"call-{self.made + number}", name="f") for number in range(count)]
        message = assistant("text", calls)
        try:
            self.ada.record_step(turn.id, len(turn.steps) + offset, message)
        except TurnConflict:
            assert offset != 0
            return
        assert offset == 0
        self.made += count
        turn.steps.append(message)
        turn.calls |= {call.id: (call, "written") for call in calls}

    @precondition(lambda self: any(turn.calls for turn in self.open_turns()))
    @rule(data=st.data(), action=st.sampled_from(["start", "finish", "refuse", "resolve"]))
    def handle_call(self, data: st.DataObject, action: str) -> None:
        turn = data.draw(st.sampled_from([turn for turn in self.open_turns() if turn.calls]))
        call, status = turn.calls[data.draw(st.sampled_from(sorted(turn.calls)))]
        result = tool_result(call, action)
        needed = "written" if action in ("start", "refuse") else "started"
        try:
            if action == "start":
                self.ada.start_call(turn.id, call, effect="write", idempotent=False)
            elif action == "refuse":
                self.ada.record_step(turn.id, len(turn.steps), result)
            elif action == "finish":
                assert self.ada.finish_call(turn.id, result) == len(turn.steps)
            else:
                assert self.ada.resolve_call(turn.id, call.id, result) == len(turn.steps)
        except TurnConflict:
            assert status != needed
            return
        assert status == needed
        after = {"start": "started", "finish": "finished", "refuse": "finished", "resolve": "unknown"}
        turn.calls[call.id] = (call, after[action])
        if action != "start":
            turn.steps.append(result)

    @precondition(lambda self: self.open_turns())
    @rule(data=st.data(), gives_results=st.booleans())
    def commit(self, data: st.DataObject, gives_results: bool) -> None:
        turn = data.draw(st.sampled_from(self.open_turns()))
        left = [call for call, status in turn.calls.values() if status in ("written", "started")]
        results = [tool_result(call, "ended", status="interrupted") for call in left] if gives_results else []
        reply = assistant("reply")
        try:
            self.ada.commit_turn(
                turn.id,
                reply=reply,
                events=trace(turn.id, "reply"),
                memories=[memory("remembered")],
                status="done",
                results=results,
            )
        except TurnConflict:
            assert left
            assert not gives_results
            return
        assert not left or gives_results
        turn.status = "done"
        kept = [step for step in [*turn.steps, *results] if isinstance(step, ToolResult) or step.calls]  # type: ignore[union-attr]
        turn.said = [turn.message, *kept, reply]

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = open_store(self.folder)

    @rule(data=st.data())
    def touch_what_is_finished(self, data: st.DataObject) -> None:
        done = [turn for turns in self.conversations.values() for turn in turns if turn.status == "done"]
        if done:
            turn = data.draw(st.sampled_from(done))
            with suppress(TurnConflict):
                self.ada.record_step(turn.id, len(turn.steps), assistant("late"))
                raise AssertionError("a finished turn took a step")

    @invariant()
    def the_store_holds_what_the_model_holds(self) -> None:
        for conversation, turns in self.conversations.items():
            assert [(turn.id, turn.status) for turn in self.ada.turns(conversation)] == [
                (turn.id, turn.status) for turn in turns
            ]
            assert list(self.ada.transcript(conversation)) == [each for turn in turns for each in turn.said]
        left = {each.turn.id: each for each in self.store.open_turns()}
        assert set(left) == {turn.id for turn in self.open_turns()}
        for turn in self.open_turns():
            assert [step.message for step in left[turn.id].steps] == turn.steps
            assert {row.call.id: (row.call, row.status) for row in left[turn.id].journal} == turn.calls
            assert self.ada.events(turn.id) == ()
        done = sum(turn.status == "done" for turns in self.conversations.values() for turn in turns)
        assert [record.seq for record in self.ada.memories()] == list(range(done))


def test_any_sequence_of_writes_and_restarts_agrees_with_the_model() -> None:
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
