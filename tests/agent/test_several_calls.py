"""Several calls in one reply, through whole turns."""

from __future__ import annotations

import threading
from pathlib import Path

from agentkit.agent import Limits
from agentkit.events import ToolCallFinished, ToolProgress
from agentkit.messages import ToolResult
from agentkit.testing import Calls, Says, ScriptStep
from agentkit.tools import Tool, ToolContext, tool
from tests.agent.desk import desk
from tests.agent.shop_tools import OrderId, cancel_order, track_parcel


def meeting(people: int) -> Tool:
    barrier = threading.Barrier(people)

    @tool(effect="read", timeout=20)
    def find_order(order_id: OrderId) -> str:
        """Find an order."""
        barrier.wait(10)
        return f"order {order_id} is found"

    return find_order


def test_calls_of_one_reply_run_at_the_same_time_and_each_has_its_result(tmp_path: Path) -> None:
    both = Calls([("find_order", {"order_id": "1042"}), ("find_order", {"order_id": "1057"})])
    steps: list[ScriptStep] = [both, Says("order 1042 is found")]
    with desk(tmp_path, steps, tools=[meeting(2)], bound=False) as agent:
        agent.ask("find the order 1042 and the order 1057", user="ada")
        store = agent.store.for_user("default", "ada")
        said = store.transcript(store.latest_conversation() or "")
    assert [m.status for m in said if isinstance(m, ToolResult)] == ["ok", "ok"]


def test_all_results_are_said_where_the_bot_has_a_template(tmp_path: Path) -> None:
    replies = tmp_path / "replies"
    replies.mkdir()
    (replies / "cancel_order.jinja").write_text("Done: {{ result }}")
    both = Calls(
        [
            ("cancel_order", {"order_id": "1042", "reason": "too_late"}),
            ("cancel_order", {"order_id": "1043", "reason": "too_late"}),
        ]
    )
    with desk(tmp_path, [both], tools=[cancel_order], bound=False, reply_folder=replies) as agent:
        reply = agent.ask("cancel the orders 1042 and 1043", user="ada")
    assert reply.text.splitlines() == [
        "Done: order 1042 is cancelled (too_late)",
        "Done: order 1043 is cancelled (too_late)",
    ]


def test_the_calls_of_a_turn_are_limited(tmp_path: Path) -> None:
    many = Calls([("track_parcel", {"order_id": order}) for order in ("1042", "1043", "1044")])
    limits = Limits(calls=2)
    with desk(tmp_path, [many], tools=[track_parcel], bound=False, limits=limits) as agent:
        events = list(agent.stream("where are the parcels 1042, 1043 and 1044", user="ada"))
    assert sum(isinstance(event, ToolCallFinished) for event in events) == 2


def test_progress_is_an_event_while_the_tool_runs_and_part_of_the_trace(tmp_path: Path) -> None:
    seen = threading.Event()

    @tool(effect="read")
    def search(context: ToolContext, order_id: OrderId) -> str:
        """Search for an order."""
        context.report("half of the books")
        assert seen.wait(10)
        return f"order {order_id} is in the books"

    steps: list[ScriptStep] = [Calls([("search", {"order_id": "1042"})]), Says("order 1042 is in the books")]
    with desk(tmp_path, steps, tools=[search], bound=False) as agent:
        for event in agent.stream("search for the order 1042", user="ada"):
            if isinstance(event, ToolProgress):
                assert (event.name, event.text) == ("search", "half of the books")
                seen.set()
        store = agent.store.for_user("default", "ada")
        (turn,) = store.turns(store.latest_conversation() or "")
        assert any(isinstance(event, ToolProgress) for event in store.events(turn.id))
    assert seen.is_set()


def test_a_turn_that_is_closed_keeps_what_was_done_and_says_what_is_in_doubt(tmp_path: Path) -> None:
    @tool(effect="write")
    def quick(order_id: OrderId) -> str:
        """Mark an order."""
        return "marked"

    @tool(effect="write")
    def slow(context: ToolContext, order_id: OrderId) -> str:
        """Send an order."""
        context.cancelled.wait(20)
        return "sent"

    both = Calls([("quick", {"order_id": "1042"}), ("slow", {"order_id": "1042"})])
    with desk(tmp_path, [both], tools=[quick, slow], bound=False) as agent:
        stream = agent.stream("mark and send the order 1042", user="ada")
        for event in stream:
            if isinstance(event, ToolCallFinished):
                stream.close()  # type: ignore[attr-defined]
                break
        store = agent.store.for_user("default", "ada")
        said = store.transcript(store.latest_conversation() or "")
        results = {m.name: m.status for m in said if isinstance(m, ToolResult)}
        assert results == {"quick": "ok", "slow": "unknown"}
