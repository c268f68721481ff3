"""Tools of a small shop, shared by the tests of the loop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agentkit.errors import ToolFailed
from agentkit.tools import Authority, Content, ToolContext, tool

OrderId = Annotated[str, Field(pattern=r"^\d{4}$", description="The number of the order."), Authority()]


@tool(effect="read")
def track_parcel(order_id: OrderId) -> dict[str, str]:
    """Where an order is now."""
    return {"order_id": order_id, "state": "shipped", "carrier": "DHL"}


@tool(effect="read")
def list_orders(context: ToolContext) -> list[str]:
    """All orders of the customer."""
    return [f"1042 oak table ({context.user_id})", "1057 lamp"]


@tool(effect="write")
def cancel_order(order_id: OrderId, reason: Literal["too_late", "changed_mind"]) -> str:
    """Cancel an order before it is shipped."""
    if order_id == "1057":
        raise ToolFailed("order 1057 has been shipped and can no longer be cancelled")
    return f"order {order_id} is cancelled ({reason})"


@tool(effect="write")
def change_address(order_id: OrderId, street: Annotated[str, Authority()]) -> str:
    """Send an order to another street."""
    return f"order {order_id} goes to {street}"


@tool(effect="write")
def create_ticket(problem: Annotated[str, Content()]) -> str:
    """Let a person look at a problem."""
    return f"ticket about {problem}"
