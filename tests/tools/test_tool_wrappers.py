"""Toolsets made from other toolsets: chosen for a turn, renamed, limited, cached, run dry."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import ToolDefinitionError
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.testing import FixedClock
from agentkit.tools import (
    Approved,
    Cached,
    DryRun,
    Filtered,
    Limited,
    Merged,
    Prefixed,
    Prepared,
    Renamed,
    StaticToolset,
    Tool,
    ToolContext,
    Toolset,
    get_tool,
    run_call,
    tool,
)

CALLS: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@tool(effect="read")
def price(article: str) -> str:
    """What an article costs."""
    CALLS.append(article)
    return f"{article}: {len(CALLS)} EUR"


@tool(effect="read")
async def stock(context: ToolContext, article: str) -> str:
    """How many there are, for this user."""
    CALLS.append(article)
    return f"{context.user_id} may have {len(CALLS)}"


@tool(effect="write")
def order(article: str, amount: int = 1) -> str:
    """Order an article."""
    CALLS.append(article)
    return f"{amount} ordered"


SHOP = StaticToolset([price, stock, order])
ANN = ToolContext(user_id="ann", turn_id="1")


def names(tools: Sequence[Tool]) -> list[str]:
    return [each.name for each in tools]


def call(toolset: Toolset, name: str, context: ToolContext = ANN, **arguments: object) -> ToolResult:
    made = ToolCall.model_validate({"id": "1", "name": name, "arguments": arguments})
    return run_call(get_tool(toolset, name), made, replace(context, cancelled=threading.Event()))


def only_looking(context: ToolContext, tools: Sequence[Tool]) -> Sequence[Tool]:
    return tools if context.profile.get("staff") else [each for each in tools if each.effect == "read"]


def test_a_function_decides_per_turn_which_tools_there_are() -> None:
    toolset = Prepared(SHOP, only_looking)
    assert names(toolset.tools()) == ["price", "stock", "order"]
    assert names(toolset.prepare(ANN)) == ["price", "stock"]
    assert names(toolset.prepare(ToolContext(user_id="bo", profile={"staff": True}))) == names(SHOP.tools())


def test_what_a_turn_may_use_goes_through_every_wrapper() -> None:
    toolset = Merged(Prefixed(Prepared(SHOP, only_looking), "shop_"), Renamed(SHOP, {"price": "cost"}))
    assert names(toolset.prepare(ANN)) == ["shop_price", "shop_stock", "cost", "stock", "order"]


def test_a_choice_cannot_add_tools_or_change_their_order() -> None:
    stranger = price.renamed("stranger")
    toolset = Prepared(SHOP, lambda _, tools: [stranger, *reversed(tools)])
    assert names(toolset.prepare(ANN)) == ["price", "stock", "order"]


def test_some_tools_get_other_names_and_still_work() -> None:
    toolset = Renamed(SHOP, {"price": "cost"})
    assert names(toolset.tools()) == ["cost", "stock", "order"]
    assert text_of(call(toolset, "cost", article="lamp")) == "lamp: 1 EUR"


def test_renaming_a_tool_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(ToolDefinitionError, match="no tool called `prize` to rename") as caught:
        Renamed(SHOP, {"prize": "cost"})
    assert "price, stock, order" in caught.value.hint


def test_a_tool_is_called_at_most_so_often_in_one_turn() -> None:
    toolset = Limited(SHOP, calls=2)
    assert [call(toolset, "price", article="a").status for _ in range(3)] == ["ok", "ok", "failed"]
    assert "already called 2 times in this turn" in text_of(call(toolset, "price", article="a"))
    assert call(toolset, "stock", article="a").status == "ok", "each tool has its own number"
    assert call(toolset, "price", ToolContext(user_id="ann", turn_id="2"), article="a").status == "ok"
    assert call(toolset, "price", ToolContext(user_id="bo", turn_id="1"), article="a").status == "ok"


def test_calls_with_wrong_arguments_do_not_count() -> None:
    toolset = Limited(SHOP, calls=1)
    assert call(toolset, "price", article=5).status == "retry"
    assert call(toolset, "price", article="a").status == "ok"


def test_a_call_ends_after_the_shorter_of_two_timeouts() -> None:
    @tool(effect="read", timeout=20)
    def slow(context: ToolContext) -> str:
        """Take long."""
        context.cancelled.wait(10)
        return "late"

    toolset = Limited(StaticToolset([slow, tool(effect="read", timeout=0.01)(price.function)]), seconds=0.05)
    assert [each.timeout for each in toolset.tools()] == [0.05, 0.01]
    started = time.monotonic()
    assert call(toolset, "slow").status == "timeout"
    assert time.monotonic() - started < 5


def test_a_result_is_kept_for_a_while() -> None:
    clock = FixedClock()
    context = ToolContext(user_id="ann", now=clock)
    toolset = Cached(SHOP, seconds=60)
    assert text_of(call(toolset, "price", context, article="lamp")) == "lamp: 1 EUR"
    clock.advance(timedelta(seconds=59))
    assert text_of(call(toolset, "price", context, article="lamp")) == "lamp: 1 EUR"
    assert text_of(call(toolset, "price", context, article="sofa")) == "sofa: 2 EUR"
    clock.advance(timedelta(seconds=2))
    assert text_of(call(toolset, "price", context, article="lamp")) == "lamp: 3 EUR"


def test_only_a_tool_that_does_not_know_the_user_answers_two_users_with_one_result() -> None:
    toolset = Cached(SHOP, seconds=60)
    bo = ToolContext(user_id="bo")
    call(toolset, "price", article="lamp")
    assert text_of(call(toolset, "price", bo, article="lamp")) == "lamp: 1 EUR"
    for context in (ANN, bo, ANN):
        assert text_of(call(toolset, "stock", context, article="lamp")).startswith(context.user_id)
    assert len(CALLS) == 3, "one price, and the stock once for each user"


def test_an_effect_is_never_cached_and_the_oldest_result_goes_first() -> None:
    toolset = Cached(SHOP, seconds=60, results=1)
    for article in ("a", "a", "b", "a"):
        call(toolset, "price", article=article)
    assert CALLS == ["a", "b", "a"]
    CALLS.clear()
    for _ in range(2):
        call(toolset, "order", article="a")
    assert CALLS == ["a", "a"]


def test_a_failure_is_not_cached() -> None:
    @tool(effect="read")
    def flaky() -> str:
        """Fail once."""
        CALLS.append("x")
        if len(CALLS) == 1:
            raise OSError("gone")
        return "here"

    toolset = Cached(StaticToolset([flaky]), seconds=60)
    assert [call(toolset, "flaky").status for _ in range(2)] == ["failed", "ok"]


def test_a_dry_run_says_what_it_would_do_and_does_nothing() -> None:
    toolset = DryRun(SHOP)
    result = call(toolset, "order", article="lamp", amount=2)
    assert result.data == {"dry_run": True, "tool": "order", "arguments": {"article": "lamp", "amount": 2}}
    assert CALLS == []
    assert get_tool(toolset, "order").effect == "write"
    assert call(toolset, "order", amount="two").status == "retry"
    assert text_of(call(toolset, "price", article="lamp")) == "lamp: 1 EUR"


def test_calls_with_an_effect_are_marked_for_a_person() -> None:
    marked = {each.name: each.approve for each in Approved(SHOP).tools()}
    assert marked == {"price": False, "stock": False, "order": True}
    everything = Approved(SHOP, tools=lambda _: True)
    assert all(each.approve is True for each in everything.tools())
    assert order.approve is False, "the tool itself is untouched"


def test_two_rules_ask_where_either_asks() -> None:
    @tool(effect="write", approve=lambda arguments: "too many" if arguments["amount"] > 5 else False)
    def buy(amount: int) -> str:
        """Buy."""
        return str(amount)

    toolset = Approved(StaticToolset([buy]), lambda arguments: arguments["amount"] == 1)
    rule = get_tool(toolset, "buy").approve
    assert not isinstance(rule, bool)
    assert [rule({"amount": amount}) for amount in (1, 3, 9)] == [True, False, "too many"]


@given(st.permutations(range(7)), st.data())
def test_whatever_is_wrapped_the_order_stays_the_same(order_of: list[int], data: st.DataObject) -> None:
    toolset: Toolset = StaticToolset([price.renamed(f"t{number}") for number in order_of])
    wrappers: list[Callable[[Toolset], Toolset]] = [
        lambda inner: Filtered(inner, lambda each: not each.name.endswith("3")),
        lambda inner: Prefixed(inner, "x_"),
        lambda inner: Limited(inner, calls=1),
        lambda inner: Cached(inner, seconds=1),
        DryRun,
        Approved,
        lambda inner: Prepared(inner, lambda _, tools: tools[::-2]),
    ]
    for wrap in data.draw(st.lists(st.sampled_from(wrappers), max_size=4)):
        toolset = wrap(toolset)
    order = [f"t{number}" for number in order_of]
    for tools in (toolset.tools(), toolset.prepare(ANN), toolset.tools()):
        plain = [name.rpartition("_")[2] for name in names(tools)]
        assert plain == [name for name in order if name in plain]
    assert set(names(toolset.prepare(ANN))) <= set(names(toolset.tools()))
