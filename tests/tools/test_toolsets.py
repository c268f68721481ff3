"""Groups of tools: filtered, prefixed, merged; and a tool that does not exist."""

from __future__ import annotations

import pytest

from agentkit.errors import ToolDefinitionError, ToolRetry
from agentkit.tools import Filtered, Merged, Prefixed, StaticToolset, Tool, Toolset, get_tool, tool


@tool(effect="read")
def track_parcel(order_id: str) -> str:
    """Where a parcel is."""
    return f"{order_id} is on its way"


@tool(effect="read")
def list_orders() -> str:
    """All orders."""
    return "1042"


@tool(effect="write")
def cancel_order(order_id: str) -> str:
    """Cancel an order."""
    return order_id


SHOP = StaticToolset([track_parcel, list_orders, cancel_order])


def names(toolset: Toolset) -> list[str]:
    return [made.name for made in toolset.tools()]


def test_the_order_is_the_one_given() -> None:
    assert names(SHOP) == ["track_parcel", "list_orders", "cancel_order"]
    assert SHOP.get("list_orders") is list_orders


def test_a_predicate_filters() -> None:
    assert names(Filtered(SHOP, lambda made: made.effect == "read")) == ["track_parcel", "list_orders"]


def test_a_prefix_renames_and_the_tool_still_works() -> None:
    prefixed = Prefixed(SHOP, "shop_")
    assert names(prefixed) == ["shop_track_parcel", "shop_list_orders", "shop_cancel_order"]
    renamed = get_tool(prefixed, "shop_track_parcel")
    assert renamed("1042") == "1042 is on its way"
    assert renamed.spec.description == track_parcel.spec.description
    assert track_parcel.name == "track_parcel", "the tool itself is untouched"


def test_a_prefix_that_models_cannot_write_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="no name for a tool"):
        Prefixed(SHOP, "my shop ").tools()


def test_toolsets_merge_in_order() -> None:
    merged = Merged(Prefixed(SHOP, "a_"), SHOP)
    assert names(merged) == [f"a_{name}" for name in names(SHOP)] + names(SHOP)


def test_two_tools_of_one_name_are_named_with_their_origins() -> None:
    def other() -> Tool:
        @tool(effect="read")
        def track_parcel() -> None:
            """Another one."""

        return track_parcel

    for join in (
        lambda: Merged(SHOP, StaticToolset([other()])),
        lambda: StaticToolset([track_parcel, other()]),
    ):
        with pytest.raises(ToolDefinitionError) as caught:
            join()
        assert "two tools are called `track_parcel`" in caught.value.message
        assert caught.value.message.count("test_toolsets.py:") == 2
        assert "test_two_tools_of_one_name" in caught.value.message
        assert "Prefixed" in caught.value.hint


def test_a_plain_function_in_a_toolset_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="is no tool"):
        StaticToolset([len])  # type: ignore[list-item]


def test_a_name_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(ToolRetry, match="there is no tool 'track_order', did you mean track_parcel"):
        get_tool(SHOP, "track_order")


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(ToolRetry, match=r"the tools are: track_parcel, list_orders, cancel_order$"):
        get_tool(SHOP, "zzz")


def test_a_name_without_any_tool_is_answered_too() -> None:
    with pytest.raises(ToolRetry, match="there are no tools"):
        get_tool(StaticToolset([]), "x" * 10_000)
