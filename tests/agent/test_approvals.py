"""Calls that wait for a person: across restarts, answered once, for exactly the arguments that were shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import pytest

from agentkit.agent import Agent, fold
from agentkit.errors import (
    ApprovalRefused,
    AwaitsApproval,
    ConfigurationError,
    InputRejected,
    RecordNotFound,
    StoreCorrupt,
)
from agentkit.events import ApprovalAnswered, ApprovalRequested, Event, ToolCallFinished, TurnPaused
from agentkit.messages import ToolResult, unanswered_calls
from agentkit.store.protocol import ApprovalRecord
from agentkit.testing import Calls, Says, ScriptStep
from agentkit.tools import Authority, Tool, tool
from tests.agent.desk import desk
from tests.agent.shop_tools import OrderId, track_parcel

CANCELLED: list[str] = []


@tool(effect="write")
def cancel_order(order_id: OrderId) -> str:
    """Cancel an order before it is shipped."""
    CANCELLED.append(order_id)
    return f"order {order_id} is cancelled"


@tool(effect="write", approve=lambda arguments: arguments["amount"] > 50 and "more than 50")
def refund(order_id: OrderId, amount: Annotated[int, Authority()]) -> str:
    """Pay money of an order back."""
    return f"{amount} paid back for {order_id}"


TOOLS: list[Tool] = [track_parcel, cancel_order, refund]
CANCEL = Calls([("cancel_order", {"order_id": "1042"})])


@pytest.fixture(autouse=True)
def nothing_cancelled() -> None:
    CANCELLED.clear()


def shop(folder: Path, steps: Sequence[ScriptStep] = ()) -> Agent:
    return desk(folder, steps, tools=TOOLS, bound=False, approve=("cancel_order",))


def asked(agent: Agent, text: str = "please cancel the order 1042", user: str = "ada") -> ApprovalRecord:
    reply = agent.ask(text, user=user)
    (record,) = [each for each in agent.approvals.waiting() if each.id in reply.approvals]
    assert reply.source == "approval"
    return record


def of_type(events: Sequence[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_a_turn_pauses_with_the_exact_arguments_and_the_reason(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        events = list(agent.stream("please cancel the order 1042", user="ada"))
        (request,) = [event for event in events if isinstance(event, ApprovalRequested)]
        assert request.call.arguments == {"order_id": "1042"}
        assert [reason.rule for reason in request.reasons] == ["approve"]
        assert isinstance(events[-1], TurnPaused)
        assert CANCELLED == []
        (record,) = agent.approvals.waiting(user="ada")
        assert (record.id, record.call) == (request.approval_id, request.call)


def test_an_approved_call_runs_once_in_another_process_and_the_turn_goes_on(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
    with shop(tmp_path, [Says("Order 1042 is cancelled.")]) as later:
        reply = fold(later.approvals.approve(record.id, user="ada", by="ben"))
        assert CANCELLED == ["1042"]
        assert reply.text == "Order 1042 is cancelled."
        store = later.store.for_user("default", "ada")
        said = store.transcript(reply.conversation_id)
        assert unanswered_calls(said) == ()
        assert [m.status for m in said if isinstance(m, ToolResult)] == ["ok"]
        (row,) = store.approvals(reply.turn_id)
        assert (row.status, row.answered_by, row.settled) == ("used", "ben", {"order_id": "1042"})
        assert [e.decision for e in store.events(reply.turn_id) if isinstance(e, ApprovalAnswered)] == [
            "approved"
        ]


def test_a_rejected_call_does_not_run_and_the_user_hears_why(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
        reply = fold(agent.approvals.reject(record.id, user="ada", answer="it is packed already"))
        assert CANCELLED == []
        assert "it is packed already" in reply.text
        assert agent.approvals.waiting() == []


def test_changed_arguments_are_what_runs(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL, Says("Order 1057 is cancelled.")]) as agent:
        record = asked(agent)
        fold(agent.approvals.approve(record.id, user="ada", arguments={"order_id": "1057"}))
        assert CANCELLED == ["1057"]


def test_changed_arguments_that_do_not_fit_decide_nothing(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
        with pytest.raises(InputRejected, match="order_id"):
            agent.approvals.approve(record.id, user="ada", arguments={"order_id": "all of them"})
        assert [each.status for each in agent.approvals.waiting()] == ["waiting"]


def test_an_approval_is_answered_once(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL, Says("Order 1042 is cancelled.")]) as agent:
        record = asked(agent)
        fold(agent.approvals.approve(record.id, user="ada"))
        for again in (agent.approvals.approve, agent.approvals.reject):
            with pytest.raises(ApprovalRefused, match="answered before"):
                again(record.id, user="ada")
        assert CANCELLED == ["1042"]


def test_an_approval_does_not_serve_for_the_same_call_in_a_later_turn(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL, Says("Order 1042 is cancelled."), CANCEL]) as agent:
        first = asked(agent)
        fold(agent.approvals.approve(first.id, user="ada"))
        second = asked(agent)
        assert second.id != first.id
        assert second.hash == first.hash
        assert CANCELLED == ["1042"]


def test_an_approval_for_other_arguments_than_were_shown_is_refused(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
        with pytest.raises(ApprovalRefused, match="other arguments"):
            agent.approvals.approve(record.id, user="ada", shown="0" * 64)
        assert [each.id for each in agent.approvals.waiting()] == [record.id]


def test_a_request_that_was_altered_in_the_file_is_noticed(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
    with closing(sqlite3.connect(tmp_path / "agent.db")) as file, file:
        file.execute("""UPDATE approvals SET arguments = '{"order_id": "6666"}'""")
    with shop(tmp_path) as agent, pytest.raises(StoreCorrupt, match="hash"):
        agent.approvals.approve(record.id, user="ada")
    assert CANCELLED == []


def test_an_answer_that_was_altered_in_the_file_is_not_acted_on(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
        agent.approvals.approve(record.id, user="ada")  # decided; the turn has not gone on yet
    with closing(sqlite3.connect(tmp_path / "agent.db")) as file, file:
        file.execute("""UPDATE approvals SET settled = '{"order_id": "6666"}'""")
    with shop(tmp_path) as agent, pytest.raises(ApprovalRefused, match="other arguments"):
        agent.resume()
    assert CANCELLED == []


@pytest.mark.parametrize(("user", "tenant"), [("ben", "default"), ("ada", "other"), ("ADA", "default")])
def test_a_request_of_another_user_does_not_exist(tmp_path: Path, user: str, tenant: str) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
        for decide in (agent.approvals.approve, agent.approvals.reject):
            with pytest.raises(RecordNotFound):
                decide(record.id, user=user, tenant=tenant)
        assert CANCELLED == []


def test_a_message_to_a_conversation_that_waits_is_not_stored(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
        with pytest.raises(AwaitsApproval, match="Nothing was stored") as problem:
            agent.ask("hello?", user="ada")
        assert problem.value.approvals == (record.id,)
        assert len(agent.store.for_user("default", "ada").turns(record.conversation_id)) == 1


def test_resuming_after_a_crash_leaves_what_waits_alone(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
    with shop(tmp_path) as agent:
        assert agent.resume() == []
        assert [each.id for each in agent.approvals.waiting()] == [record.id]


def test_a_decision_that_a_crash_cut_off_is_followed_when_the_turn_is_resumed(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
        agent.approvals.approve(record.id, user="ada")
    with shop(tmp_path, [Says("Order 1042 is cancelled.")]) as agent:
        (reply,) = agent.resume()
        assert reply.text == "Order 1042 is cancelled."
        assert CANCELLED == ["1042"]
        assert agent.resume() == []


def test_an_approval_that_was_spent_just_before_a_crash_still_lets_its_call_run_once(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
        agent.approvals.approve(record.id, user="ada")
        store = agent.store.for_user("default", "ada")
        store.use_approval(record.turn_id, record.call.id, record.call.arguments)
    with shop(tmp_path, [Says("Order 1042 is cancelled.")]) as agent:
        agent.resume()
        assert CANCELLED == ["1042"]


def test_a_rule_that_names_nothing_is_refused_when_the_agent_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cancel_ordr") as problem:
        desk(tmp_path, tools=TOOLS, approve=("cancel_ordr",))
    assert "cancel_order" in problem.value.hint


def test_an_authors_rule_asks_with_its_own_reason_and_only_where_it_holds(tmp_path: Path) -> None:
    steps: list[ScriptStep] = [
        Calls([("refund", {"order_id": "1042", "amount": 20})]),
        Says("20 was paid back for 1042."),
        Calls([("refund", {"order_id": "1042", "amount": 80})]),
    ]
    with shop(tmp_path, steps) as agent:
        assert agent.ask("refund 20 of order 1042", user="ada").approvals == ()
        record = asked(agent, "refund 80 of order 1042")
        assert [reason.text for reason in record.reasons] == ["more than 50"]


def test_what_needs_nobody_runs_while_the_rest_waits_and_is_not_run_again(tmp_path: Path) -> None:
    both = Calls([("track_parcel", {"order_id": "1042"}), ("cancel_order", {"order_id": "1042"})])
    with shop(tmp_path, [both]) as agent:
        events = list(agent.stream("where is the parcel 1042, and cancel the order 1042", user="ada"))
        assert [e.result.name for e in events if isinstance(e, ToolCallFinished)] == ["track_parcel"]
        (record,) = agent.approvals.waiting()
    with shop(tmp_path, [Says("Order 1042 is cancelled.")]) as agent:
        rest = list(agent.approvals.approve(record.id, user="ada"))
        finished = [e for e in rest if isinstance(e, ToolCallFinished)]
        assert [(e.result.name, e.replayed) for e in finished] == [
            ("track_parcel", True),
            ("cancel_order", False),
        ]
        assert CANCELLED == ["1042"]


def test_a_turn_that_waits_holds_no_lease(tmp_path: Path) -> None:
    with shop(tmp_path, [CANCEL]) as agent:
        record = asked(agent)
        (left,) = agent.store.unattended()
        assert left.conversation_id == record.conversation_id


def test_a_message_that_came_before_the_call_was_stopped_waits_and_is_answered_after_the_decision(
    tmp_path: Path,
) -> None:
    with shop(tmp_path, [CANCEL, Says("order 1042 is cancelled")]) as agent:
        conversation = agent.new_conversation(user="ada")
        first = agent.stream("please cancel the order 1042", user="ada", conversation=conversation)
        behind = agent.stream("is it cancelled?", user="ada", conversation=conversation)
        (record_id,) = fold(first).approvals
        with pytest.raises(AwaitsApproval, match="is stored and waits") as problem:
            list(behind)
        assert problem.value.approvals == (record_id,)
        store = agent.store.for_user("default", "ada")
        assert len(store.waiting(conversation)) == 1
        fold(agent.approvals.approve(record_id, user="ada"))
        assert CANCELLED == ["1042"]
        assert len(store.waiting(conversation)) == 1
        (answered,) = agent.resume()
        assert answered.conversation_id == conversation
        assert store.waiting(conversation) == []
