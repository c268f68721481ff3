"""More of the shop's service: what flows look up before they ask, and the smaller changes that a customer may want.

As in `tools.py`, every tool acts for the signed-in customer and for nobody else, and an order of somebody else looks
like one that does not exist.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Literal, TypeAlias

from make_shop import LARGE_KG, add_working_days
from pydantic import Field
from shop_data import (
    LARGE_COLLECTION_CENTS,
    OUR_FAULT,
    REFUND_WORKING_DAYS,
    OrderId,
    Reason,
    address_of,
    check_returnable,
    euros,
    items_of,
    own_order,
    shop,
    signed_in,
    spoken,
    today_of,
    too_late,
    total,
    weekday_text,
)

from agentkit import Authority, Content, ToolContext, ToolFailed, tool

DELIVERY_DAYS = 8  # working days from which a customer may choose one
MOST_PARTS = 20
ASSEMBLY_CENTS = 4900

Result: TypeAlias = dict[str, Any]
ItemName: TypeAlias = Annotated[str, Field(description="name of the item, as the order has it"), Content()]
Day: TypeAlias = Annotated[date, Field(description="ISO date"), Authority()]
Part: TypeAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z]\d{1,3}$", description="number of the part"), Authority()
]
Quantity: TypeAlias = Annotated[int, Field(ge=1, le=MOST_PARTS), Authority()]
Amount: TypeAlias = Annotated[float, Field(gt=0, le=10_000, description="in euros"), Authority()]
Half: TypeAlias = Literal["morning", "afternoon"]


@tool(effect="read")
def order_summary(context: ToolContext, order_id: OrderId) -> Result:
    """What a flow needs to know of an order: its state, its items by name, what it cost and when it comes."""
    today = today_of(context)
    with shop(context) as db:
        order = own_order(db, context, order_id)
        items = items_of(db, order_id)
    return {
        "order_id": order_id,
        "state": order["status"],
        "item_names": [item["name"] for item in items],
        "text": ", ".join(f"{item['quantity']} × {item['name']}" for item in items),
        "total": euros(total(order, items)),
        "total_cents": total(order, items),
        "payment": order["payment"],
        "address": address_of(order),
        "is_large": any(item["weight_kg"] > LARGE_KG for item in items),
        **spoken("expected", order["expected_on"], today),
        **spoken("delivered", order["delivered_on"], today),
        **spoken("cancelled", order["cancelled_on"], today),
    }


@tool(effect="read")
def quote_return(
    context: ToolContext, order_id: OrderId, item: ItemName, reason: Reason = "not_given"
) -> Result:
    """What sending back an item would mean: whether it is possible, what is paid back, how it is collected."""
    today = today_of(context)
    with shop(context) as db:
        order = own_order(db, context, order_id)
        items = items_of(db, order_id)
    chosen = next((each for each in items if each["name"] == item), None)
    if chosen is None:
        raise ToolFailed(f"order {order_id} has no {item}")
    if chosen["return_id"]:
        raise ToolFailed(
            f"the return of the {item} is under way already, with the number {chosen['return_id']}"
        )
    check_returnable(order, chosen, reason, today)
    large = chosen["weight_kg"] > LARGE_KG
    fee = LARGE_COLLECTION_CENTS if large and reason not in OUR_FAULT else 0
    refund = chosen["price_cents"] * chosen["quantity"] - fee
    if all(each["return_id"] for each in items if each is not chosen):
        refund += order["delivery_cents"]
    return {
        "item": chosen["name"],
        "refund": euros(refund),
        "refund_cents": refund,
        "fee": euros(fee) if fee else None,
        "collection": "team" if large else "parcel",
    }


@tool(effect="read")
def refund_status(context: ToolContext, order_id: OrderId) -> Result:
    """Whether money of an order is on its way back, how much and by when."""
    today = today_of(context)
    with shop(context) as db:
        order = own_order(db, context, order_id)
        items = items_of(db, order_id)
        query = "SELECT * FROM returns WHERE order_id = ? ORDER BY line"
        returns = db.execute(query, [order_id]).fetchall()
    started, cents, state = None, 0, "none"
    if order["status"] == "cancelled":
        started, cents = date.fromisoformat(order["cancelled_on"]), total(order, items)
    elif returns:
        cents, state = sum(each["refund_cents"] for each in returns), "waiting_for_item"
        if order["status"] == "returned":
            started = max(date.fromisoformat(each["created_on"]) for each in returns) + timedelta(days=7)
    by = add_working_days(started, REFUND_WORKING_DAYS) if started else None
    if by is not None:
        state = "paid" if by < today else "on_its_way"
    return {
        "order_id": order_id,
        "state": state,
        "refund": euros(cents),
        "payment": order["payment"],
        "returns": [each["id"] for each in returns],
        **spoken("by", by, today),
    }


@tool(effect="read")
def delivery_days(context: ToolContext, order_id: OrderId) -> Result:
    """The days on which an order that has not been shipped can be delivered."""
    today = today_of(context)
    with shop(context) as db:
        order = own_order(db, context, order_id)
    if order["status"] != "processing":
        raise ToolFailed(too_late(order, "given another day", today))
    first = max(date.fromisoformat(order["expected_on"]), add_working_days(today, 2))
    days = [first] if first.weekday() < 5 else [add_working_days(first, 1)]
    while len(days) < DELIVERY_DAYS:
        days.append(add_working_days(days[-1], 1))
    return {
        "days": [day.isoformat() for day in days],
        "first": weekday_text(days[0], today),
        "last": weekday_text(days[-1], today),
        **spoken("expected", order["expected_on"], today),
    }


@tool(effect="write", idempotent=True)
def choose_delivery_day(context: ToolContext, order_id: OrderId, day: Day) -> Result:
    """Have an order delivered on another day."""
    today = today_of(context)
    with shop(context, writing=True) as db:
        order = own_order(db, context, order_id)
        if order["status"] != "processing":
            raise ToolFailed(too_late(order, "given another day", today))
        if day <= today or day.weekday() >= 5:
            raise ToolFailed(f"nothing is delivered on {weekday_text(day, today)}")
        db.execute("UPDATE orders SET expected_on = ? WHERE id = ?", [day.isoformat(), order_id])
    return {"order_id": order_id, **spoken("expected", day, today)}


@tool(effect="write", idempotent=True)
def set_newsletter(context: ToolContext, subscribed: bool) -> Result:
    """Send the newsletter to the customer, or no longer."""
    with shop(context, writing=True) as db:
        customer = signed_in(db, context)
        db.execute("INSERT OR REPLACE INTO newsletter VALUES (?, ?)", [context.user_id, int(subscribed)])
    return {"email": customer["email"], "subscribed": subscribed}


@tool(effect="write", idempotent=True)
def order_spare_part(context: ToolContext, order_id: OrderId, part: Part, quantity: Quantity = 1) -> Result:
    """Send spare parts for a piece of an order, free of charge."""
    today = today_of(context)
    with shop(context, writing=True) as db:
        order = own_order(db, context, order_id)
        if order["status"] != "delivered":
            raise ToolFailed(f"order {order_id} has not been delivered, so nothing can be missing")
        values = [order_id, part.upper(), quantity, today.isoformat()]
        db.execute("INSERT OR REPLACE INTO spare_parts VALUES (?, ?, ?, ?)", values)
    arrives = add_working_days(today, 4)
    return {"part": part.upper(), "quantity": quantity, **spoken("arrives", arrives, today)}


@tool(effect="write", idempotent=True)
def match_price(context: ToolContext, order_id: OrderId, amount: Amount) -> Result:
    """Pay back the difference to a lower price that the customer has seen elsewhere."""
    today = today_of(context)
    cents = round(amount * 100)
    with shop(context, writing=True) as db:
        order = own_order(db, context, order_id)
        if cents >= total(order, items_of(db, order_id)):
            raise ToolFailed(f"order {order_id} cost {euros(total(order, items_of(db, order_id)))}")
        values = [order_id, cents, today.isoformat()]
        db.execute("INSERT OR REPLACE INTO price_matches VALUES (?, ?, ?)", values)
    by = add_working_days(today, REFUND_WORKING_DAYS)
    return {"amount": euros(cents), "payment": order["payment"], **spoken("by", by, today)}


@tool(effect="write", idempotent=True)
def book_assembly(context: ToolContext, order_id: OrderId, half: Half) -> Result:
    """Have large furniture assembled on the day of its delivery."""
    today = today_of(context)
    with shop(context, writing=True) as db:
        order = own_order(db, context, order_id)
        if order["status"] not in ("processing", "shipped"):
            raise ToolFailed(too_late(order, "assembled by our team", today))
        db.execute("INSERT OR REPLACE INTO assemblies VALUES (?, ?)", [order_id, half])
    price = euros(ASSEMBLY_CENTS)
    return {"half": half, "price": price, **spoken("day", order["expected_on"], today)}


@tool(effect="egress", idempotent=True)
def send_invoice(context: ToolContext, order_id: OrderId) -> Result:
    """Send the invoice of an order to the customer's own e-mail address once more."""
    today = today_of(context)
    with shop(context, writing=True) as db:
        order = own_order(db, context, order_id)
        customer = signed_in(db, context)
        values = [order_id, customer["email"], today.isoformat()]
        db.execute("INSERT OR REPLACE INTO outbox VALUES (?, ?, ?)", values)
    return {"email": customer["email"], "number": f"INV-{order['id']}"}
