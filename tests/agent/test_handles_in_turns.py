"""Handles through whole turns: the model reads and writes `order#2`, the tool gets the id, and so does the user."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import JsonValue

from agentkit.events import ToolCallStarted
from agentkit.messages import Assistant, ToolResult, text_of
from agentkit.testing import Calls, Says, ScriptedGenerator, ScriptError, ScriptStep
from agentkit.tools import Authority, Tool, tool
from tests.agent.desk import desk

CLOSED: list[int] = []


@tool(effect="read", handles={"id": "order", "parcels.id": "parcel"})
def list_orders() -> list[dict[str, JsonValue]]:
    """List the orders of the customer."""
    return [
        {"id": 88041, "item": "lamp", "parcels": [{"id": "P-5512"}]},
        {"id": 88042, "item": "table", "parcels": []},
    ]


@tool(effect="write")
def close_order(order: Annotated[int, Authority("order")]) -> str:
    """Close an order of the customer."""
    CLOSED.append(order)
    return f"order {order} is closed"


TOOLS: list[Tool] = [list_orders, close_order]
LIST = Calls([("list_orders", {})])


@pytest.fixture(autouse=True)
def nothing_closed() -> None:
    CLOSED.clear()


def test_the_model_reads_handles_and_the_tool_gets_the_id(tmp_path: Path) -> None:
    steps: list[ScriptStep] = [
        LIST,
        Calls([("close_order", {"order": "order#2"})], expect="order#2"),
        Says("The order 88042 is closed."),
    ]
    with (
        ScriptedGenerator(steps) as generator,
        desk(tmp_path, generator=generator, tools=TOOLS, bound=False) as agent,
    ):
        events = list(agent.stream("close the order with the table", user="ada"))
        store = agent.store.for_user("default", "ada")
        said = store.transcript(store.latest_conversation() or "")
    assert CLOSED == [88042]
    assert [e.call.arguments for e in events if isinstance(e, ToolCallStarted)] == [{}, {"order": 88042}]
    listed = next(m for m in said if isinstance(m, ToolResult))
    assert listed.handles == {"order#1": 88041, "order#2": 88042, "parcel#1": "P-5512"}
    assert "88041" not in text_of(listed)
    assert isinstance(listed.data, list)
    written = [call.arguments for m in said if isinstance(m, Assistant) for call in m.calls]
    assert written == [{}, {"order": "order#2"}]


def test_a_reply_names_ids_and_not_handles(tmp_path: Path) -> None:
    with desk(tmp_path, [LIST, Says("The lamp is order#1.")], tools=TOOLS, bound=False) as agent:
        assert agent.ask("list my order of the lamp", user="ada").text == "The lamp is 88041."


def test_a_model_cannot_even_write_a_handle_that_was_not_issued(tmp_path: Path) -> None:
    steps = [LIST, Calls([("close_order", {"order": "order#3"})])]
    with (
        desk(tmp_path, steps, tools=TOOLS, bound=False) as agent,
        pytest.raises(ScriptError, match="outside its schema"),
    ):
        agent.ask("close the order with the table", user="ada")
    assert CLOSED == []


def test_an_id_keeps_its_handle_when_it_is_listed_again(tmp_path: Path) -> None:
    steps: list[ScriptStep] = [
        LIST,
        Says("Two."),
        LIST,
        Calls([("close_order", {"order": "order#1"})]),
        Says("The order 88041 is closed."),
    ]
    with desk(tmp_path, steps, tools=TOOLS, bound=False) as agent:
        agent.ask("list every order", user="ada")
        agent.ask("close the order with the lamp", user="ada")
    assert CLOSED == [88041]
