"""The tools of the support bot: what it can look up and do in the shop's order database.

Every tool acts for the signed-in customer (`context.user_id`) and for nobody else. An order that does not
exist and an order of somebody else get the same answer, so that order numbers cannot be probed. The shop's
rules are here, in code: no wording of a message can talk the bot out of them.

`make_shop.py` says where the database is; it is made, as of today, when it is missing.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
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

MOST_LISTED = 8

Topic: TypeAlias = Literal["damage", "missing_part", "delivery", "payment", "product", "complaint", "other"]
Item: TypeAlias = Annotated[
    str, Field(description="which item, in the customer's words", max_length=80), Content()
]
Problem: TypeAlias = Annotated[
    str, Field(description="the problem in the customer's words", min_length=3, max_length=600), Content()
]
Street: TypeAlias = Annotated[str, Field(description="house number and street", min_length=3), Authority()]
City: TypeAlias = Annotated[str, Field(min_length=2), Authority()]
Eircode: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z]\d[\dWw] ?[A-Za-z0-9]{4}$"), Authority()]
Result: TypeAlias = dict[str, Any]


@tool(effect="read")
def track_parcel(context: ToolContext, order_id: OrderId) -> Result:
    """Where one order is now and when it arrives."""
    with shop(context) as db:
        order = own_order(db, context, order_id)
        query = "SELECT * FROM parcel_events WHERE order_id = ? ORDER BY seq DESC LIMIT 1"
        last = db.execute(query, [order_id]).fetchone()
    today = today_of(context)
    under_way = order["status"] in ("processing", "shipped")
    return {
        "order_id": order_id,
        "state": order["status"],
        "carrier": order["carrier"],
        "tracking_number": order["tracking_number"],
        **spoken("expected", order["expected_on"], today),
        **spoken("delivered", order["delivered_on"], today),
        "late": under_way and date.fromisoformat(order["expected_on"]) < today,
        "last_seen": f"{last['event']}, {last['place']}" if last else None,
        "last_seen_on": weekday_text(last["day"], today) if last else None,
    }


@tool(effect="read")
def look_up_order(context: ToolContext, order_id: OrderId) -> Result:
    """What one order contains: items, prices, total, payment, delivery address."""
    with shop(context) as db:
        order = own_order(db, context, order_id)
        items = items_of(db, order_id)
    today = today_of(context)
    return {
        "order_id": order_id,
        "state": order["status"],
        **spoken("placed", order["ordered_on"], today),
        "items": [
            f"{item['quantity']} × {item['name']}, {euros(item['price_cents'])} each" for item in items
        ],
        "delivery_cost": euros(order["delivery_cents"]),
        "total": euros(total(order, items)),
        "payment": order["payment"],
        "address": address_of(order),
        **spoken("expected", order["expected_on"], today),
        **spoken("delivered", order["delivered_on"], today),
        "returns": [item["name"] for item in items if item["return_id"]],
    }


@tool(effect="read")
def list_my_orders(context: ToolContext) -> Result:
    """All orders of the customer, newest first. Use it when no order number is given."""
    with shop(context) as db:
        signed_in(db, context)
        query = "SELECT * FROM orders WHERE customer_id = ? ORDER BY id DESC"
        orders = db.execute(query, [context.user_id]).fetchall()
        listed = [(order, items_of(db, order["id"])) for order in orders[:MOST_LISTED]]
    today = today_of(context)
    return {
        "count": len(orders),
        "open_count": sum(order["status"] in ("processing", "shipped") for order in orders),
        "orders": [
            {
                "order_id": order["id"],
                "state": order["status"],
                **spoken("placed", order["ordered_on"], today),
                "items": ", ".join(f"{item['quantity']} × {item['name']}" for item in items),
                "total": euros(total(order, items)),
                **spoken("expected", order["expected_on"], today),
            }
            for order, items in listed
        ],
    }


@tool(effect="write", idempotent=True)
def start_return(
    context: ToolContext,
    order_id: OrderId,
    item: Item = "",
    reason: Reason = "not_given",
) -> Result:
    """Send back an item of a delivered order and get the money back."""
    today = today_of(context)
    with shop(context, writing=True) as db:
        order = own_order(db, context, order_id)
        items = items_of(db, order_id)
        chosen = choose_item(items, item)
        if chosen is None:
            return return_result(order_id, "choose_item", today, choices=[each["name"] for each in items])
        if chosen["return_id"]:
            found = db.execute("SELECT * FROM returns WHERE id = ?", [chosen["return_id"]]).fetchone()
            return return_result(order_id, "already_started", today, item=chosen, started=found)
        check_returnable(order, chosen, reason, today)
        large, ours = chosen["weight_kg"] > LARGE_KG, reason in OUR_FAULT
        fee = LARGE_COLLECTION_CENTS if large and not ours else 0
        refund = chosen["price_cents"] * chosen["quantity"] - fee
        if all(each["return_id"] for each in items if each is not chosen):
            refund += order["delivery_cents"]  # the whole order goes back, so its delivery is refunded too
        line, collection = chosen["line"], "team" if large else "parcel"
        db.execute(
            "INSERT INTO returns VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [f"R{order_id}-{line}", order_id, line, reason, today.isoformat(), collection, fee, refund],
        )
        started = db.execute("SELECT * FROM returns WHERE id = ?", [f"R{order_id}-{line}"]).fetchone()
        return return_result(order_id, "started", today, item=chosen, started=started)


@tool(effect="write", idempotent=True)
def cancel_order(context: ToolContext, order_id: OrderId) -> Result:
    """Cancel a whole order that has not been shipped yet."""
    today = today_of(context)
    with shop(context, writing=True) as db:
        order = own_order(db, context, order_id)
        if order["status"] not in ("processing", "cancelled"):
            raise ToolFailed(too_late(order, "cancelled", today))
        amount = total(order, items_of(db, order_id))
        again = order["status"] == "cancelled"
        cancelled_on = order["cancelled_on"] if again else today.isoformat()
        refund_by = add_working_days(date.fromisoformat(cancelled_on), REFUND_WORKING_DAYS)
        db.execute(
            "UPDATE orders SET status = 'cancelled', cancelled_on = ?, expected_on = NULL WHERE id = ?",
            [cancelled_on, order_id],
        )
    return {
        "order_id": order_id,
        "state": "already_cancelled" if again else "cancelled",
        **spoken("cancelled", cancelled_on, today),
        "refund": euros(amount),
        "payment": order["payment"],
        **spoken("refund_by", refund_by, today),
    }


@tool(effect="write", idempotent=True)
def change_delivery_address(
    context: ToolContext,
    order_id: OrderId,
    street: Street,
    city: City,
    postcode: Eircode,
) -> Result:
    """Send an order that has not been shipped yet to another address."""
    today = today_of(context)
    with shop(context, writing=True) as db:
        order = own_order(db, context, order_id)
        if order["status"] != "processing":
            raise ToolFailed(too_late(order, "sent to another address", today))
        bare = postcode.replace(" ", "").upper()
        tidy = [street.strip(), city.strip(), f"{bare[:3]} {bare[3:]}"]
        db.execute("UPDATE orders SET street = ?, city = ?, postcode = ? WHERE id = ?", [*tidy, order_id])
        changed = own_order(db, context, order_id)
    same = address_of(changed) == address_of(order)
    return {
        "order_id": order_id,
        "state": "unchanged" if same else "changed",
        "address": address_of(changed),
        **spoken("expected", order["expected_on"], today),
    }


@tool(effect="write", idempotent=True)
def create_ticket(
    context: ToolContext,
    topic: Topic,
    message: Problem,
    order_id: OrderId | None = None,
) -> Result:
    """Pass a problem or a complaint to a person, who answers by e-mail."""
    today = today_of(context)
    reply_by = add_working_days(today, 3 if topic == "complaint" else 1)
    key = "/".join([context.tenant, context.user_id, context.conversation_id, context.call_id])
    with shop(context, writing=True) as db:
        customer = signed_in(db, context)
        if order_id is not None:
            own_order(db, context, order_id)
        next_number = 3001 + db.execute("SELECT count(*) FROM tickets").fetchone()[0]
        values = [f"T{next_number}", context.user_id, order_id, topic, message]
        db.execute(
            "INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (call_key) DO NOTHING",
            [*values, today.isoformat(), reply_by.isoformat(), key],
        )
        ticket = db.execute("SELECT * FROM tickets WHERE call_key = ?", [key]).fetchone()
    return {
        "ticket_id": ticket["id"],
        "topic": ticket["topic"],
        "order_id": ticket["order_id"],
        "email": customer["email"],
        **spoken("reply_by", ticket["reply_by"], today),
    }


def choose_item(items: Sequence[sqlite3.Row], words: str) -> sqlite3.Row | None:
    """The one item that `words` names; the only item of an order needs no words. None if it is not clear."""
    if len(items) == 1:
        return items[0]
    said = key_words(words)
    scores = [len(said & key_words(item["name"])) for item in items]
    best = max(scores)
    return items[scores.index(best)] if best > 0 and scores.count(best) == 1 else None


def key_words(text: str) -> set[str]:
    """The words of `text` that can name a piece: three letters or more, without a plural s."""
    return {word.rstrip("s") for word in re.findall(r"[a-z]{3,}", text.casefold())}


def return_result(
    order_id: str,
    state: Literal["started", "already_started", "choose_item"],
    today: date,
    *,
    item: sqlite3.Row | None = None,
    started: sqlite3.Row | None = None,
    choices: Sequence[str] = (),
) -> Result:
    """The result of start_return: the same keys in every state."""
    asked = date.fromisoformat(started["created_on"]) if started else None
    return {
        "order_id": order_id,
        "state": state,
        "return_id": started["id"] if started else None,
        "item": item["name"] if item else None,
        "choices": list(choices),
        "collection": started["collection"] if started else None,
        "fee": euros(started["fee_cents"]) if started and started["fee_cents"] else None,
        "refund": euros(started["refund_cents"]) if started else None,
        **spoken("send_by", asked + timedelta(days=14) if asked else None, today),
    }
