"""What the SQLite store says where it refuses to write; what it promises is in `agentkit.testing.promises`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import Busy, InputRejected, TurnConflict
from agentkit.events import Event, dump_events, load_event
from agentkit.messages import ToolCall, User, assistant, tool_result, user
from agentkit.store.driver import sqlite3
from agentkit.store.protocol import UserStore
from tests.store.samples import (
    CALL,
    DONE,
    open_store,
    say,
    turn_with_started_call,
    turn_with_written_call,
)
from tests.value_strategies import values_of


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[UserStore]:
    with open_store(tmp_path) as store:
        yield store.for_user("shop", "ada")


def test_the_order_does_not_depend_on_the_clock(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from agentkit.store.sqlite_store import SqliteStore

    times = iter(datetime(2026, 1, 1, 23 - hour % 24, tzinfo=UTC) for hour in range(100))
    with SqliteStore.open(tmp_path / "a.db", clock=lambda: next(times)) as store:
        ada = store.for_user("shop", "ada")
        conversations = [ada.new_conversation(name) for name in "abc"]
        for number in range(3):
            say(ada, conversations[0], f"question {number}")
        assert [record.title for record in ada.conversations()] == ["a", "b", "c"]
        assert ada.latest_conversation() == conversations[2]
        said = ada.transcript(conversations[0])
        assert [m.parts[0].text for m in said if isinstance(m, User)] == [
            "question 0",
            "question 1",
            "question 2",
        ]


def test_a_conversation_that_is_being_answered_is_busy(ada: UserStore) -> None:
    conversation, other = ada.new_conversation(), ada.new_conversation()
    turn = ada.begin_turn(conversation, user("first"))
    with pytest.raises(Busy, match=turn.id) as problem:
        ada.begin_turn(conversation, user("second"))
    assert "open_turns()" in problem.value.hint
    ada.begin_turn(other, user("elsewhere"))
    assert len(ada.turns(conversation)) == 1


def test_a_finished_step_is_not_recorded_again(ada: UserStore) -> None:
    turn = ada.begin_turn(ada.new_conversation(), user("hello there"))
    ada.record_step(turn.id, 0, assistant("first"))
    with pytest.raises(TurnConflict, match=r"Step 0 .* is recorded already"):
        ada.record_step(turn.id, 0, assistant("second"))
    with pytest.raises(TurnConflict, match=r"Step 2 .* too early, 1 is next"):
        ada.record_step(turn.id, 2, assistant("third"))
    assert [step.message for step in ada.open_turn(turn.id).steps] == [assistant("first")]


def test_a_call_starts_once_and_finishes_once(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with pytest.raises(TurnConflict, match="is started"):
        ada.start_call(turn_id, CALL, effect="write", idempotent=False)
    ada.finish_call(turn_id, DONE)
    with pytest.raises(TurnConflict, match="is finished"):
        ada.finish_call(turn_id, DONE)
    with pytest.raises(TurnConflict, match="is finished"):
        ada.start_call(turn_id, CALL, effect="write", idempotent=False)
    assert len(ada.open_turn(turn_id).steps) == 2


def test_a_call_that_was_not_started_cannot_finish(ada: UserStore) -> None:
    turn_id = turn_with_written_call(ada)
    with pytest.raises(TurnConflict, match="is written; this needs it started"):
        ada.finish_call(turn_id, DONE)
    with pytest.raises(TurnConflict, match="is written"):
        ada.resolve_call(turn_id, CALL.id, DONE)


def test_a_call_that_no_generation_holds_cannot_start(ada: UserStore) -> None:
    turn = ada.begin_turn(ada.new_conversation(), user("cancel it"))
    with pytest.raises(TurnConflict, match="is not recorded"):
        ada.start_call(turn.id, CALL, effect="write", idempotent=False)


def test_a_call_starts_with_the_arguments_that_were_recorded(ada: UserStore) -> None:
    turn_id = turn_with_written_call(ada)
    other = ToolCall(id=CALL.id, name=CALL.name, arguments={"order_id": "1043"})
    with pytest.raises(TurnConflict, match="not the one that was recorded"):
        ada.start_call(turn_id, other, effect="write", idempotent=False)


def test_a_call_id_serves_once_in_a_conversation(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with pytest.raises(TurnConflict, match="used before"):
        ada.record_step(turn_id, 1, assistant("", [CALL]))
    ada.finish_call(turn_id, DONE)
    ada.commit_turn(turn_id, reply=assistant("ok"), events=(), memories=(), status="done")
    conversation = ada.latest_conversation()
    assert conversation is not None
    later = ada.begin_turn(conversation, user("again"))
    with pytest.raises(TurnConflict, match="used before"):
        ada.record_step(later.id, 0, assistant("", [CALL]))
    assert ada.open_turn(later.id).steps == ()
    turn_with_written_call(ada)  # another conversation may use it


def test_the_result_of_a_refused_call_is_recorded_without_a_start(ada: UserStore) -> None:
    turn_id = turn_with_written_call(ada)
    refused = tool_result(CALL, "not allowed", status="refused")
    ada.record_step(turn_id, 1, refused)
    with pytest.raises(TurnConflict, match="is finished"):
        ada.record_step(turn_id, 2, refused)
    [row] = ada.journal(turn_id)
    assert (row.status, row.effect, row.result) == ("finished", None, refused)


def test_the_result_of_a_started_call_needs_its_journal_row(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with pytest.raises(TurnConflict, match="is started; this needs it written"):
        ada.record_step(turn_id, 1, DONE)


def test_a_turn_cannot_end_while_a_call_has_no_result(ada: UserStore) -> None:
    turn_id = turn_with_written_call(ada)
    with pytest.raises(TurnConflict, match="call call-1 has no result") as problem:
        ada.commit_turn(turn_id, reply=assistant("bye"), events=(), memories=(), status="interrupted")
    assert "interrupted" in problem.value.hint
    interrupted = tool_result(CALL, "the turn ended", status="interrupted")
    ada.commit_turn(
        turn_id,
        reply=assistant(),
        events=(),
        memories=(),
        status="interrupted",
        results=[interrupted],
    )
    conversation = ada.latest_conversation()
    assert conversation is not None
    assert ada.transcript(conversation)[1:] == (assistant("", [CALL]), interrupted)


def test_a_call_cannot_get_two_results_at_the_end(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with pytest.raises(TurnConflict, match="is finished"):
        ada.commit_turn(
            turn_id, reply=assistant("ok"), events=(), memories=(), status="done", results=[DONE, DONE]
        )
    assert ada.open_turn(turn_id).steps[1:] == ()  # the first of the two was undone with the second


def test_a_reply_holds_no_calls(ada: UserStore) -> None:
    turn = ada.begin_turn(ada.new_conversation(), user("cancel it"))
    with pytest.raises(TurnConflict, match="holds calls"):
        ada.commit_turn(turn.id, reply=assistant("", [CALL]), events=(), memories=(), status="done")


def test_nothing_is_added_to_a_committed_turn(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    turn_id = say(ada, conversation, "hello there")
    with pytest.raises(TurnConflict, match="is finished"):
        ada.record_step(turn_id, 1, assistant("more"))
    with pytest.raises(TurnConflict, match="is finished"):
        ada.commit_turn(turn_id, reply=assistant("more"), events=(), memories=(), status="done")
    with pytest.raises(TurnConflict, match="is finished"):
        ada.open_turn(turn_id)


def test_a_result_resolves_the_call_it_is_of(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with pytest.raises(ValueError, match="not of call-2"):
        ada.resolve_call(turn_id, "call-2", DONE)


def test_a_lone_surrogate_is_refused_and_nothing_is_stored(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    with pytest.raises(InputRejected, match="lone surrogate"):
        ada.begin_turn(conversation, user("half \ud83d"))
    with pytest.raises(InputRejected, match="the title"):
        ada.new_conversation("half \ud83d")
    assert ada.turns(conversation) == []
    assert len(ada.conversations()) == 1


@given(st.lists(st.one_of(*map(values_of, get_args(get_args(Event)[0]))), max_size=5))
def test_the_events_of_a_turn_are_the_same_after_they_were_taken_apart(events: list[Event]) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        rows = database.execute("SELECT key, value FROM json_each(?)", (dump_events(events),)).fetchall()
    assert [key for key, _ in rows] == list(range(len(events)))
    assert [load_event(value) for _, value in rows] == events
