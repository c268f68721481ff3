"""The shop as its tools see it: whose order it is, the rules, the open database, dates and amounts in words.

`make_shop.py` says where the database is; it is made, as of today, when it is missing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, timedelta
from typing import Annotated, Literal, TypeAlias

from make_shop import database, make_shop
from pydantic import Field

from agentkit import Authority, ToolContext, ToolFailed

RETURN_DAYS = 30
LARGE_COLLECTION_CENTS = 1900
REFUND_WORKING_DAYS = 5
OUR_FAULT = ("damaged", "wrong_item", "not_as_described")
OrderId: TypeAlias = Annotated[str, Field(pattern=r"^\d{4}$", description="order number"), Authority()]
Reason: TypeAlias = Literal[
    "not_given", "changed_mind", "does_not_fit", "damaged", "wrong_item", "not_as_described"
]


def check_returnable(order: sqlite3.Row, item: sqlite3.Row, reason: str, today: date) -> None:
    """Raise ToolFailed with the rule that stands against returning `item`, if one does."""
    number = order["id"]
    if order["status"] != "delivered":
        why = {
            "processing": "has not been shipped yet, so there is nothing to send back; it can be cancelled",
            "shipped": "is still on its way; the return can be started once it has arrived",
            "cancelled": "has been cancelled",
            "returned": "has already been returned",
        }
        raise ToolFailed(f"order {number} {why[order['status']]}")
    if item["made_to_order"] and reason not in OUR_FAULT:
        piece = f"the {item['name']} was made to order"
        raise ToolFailed(
            f"{piece}; such a piece can only be returned if it is damaged or not what was ordered"
        )
    last_day = date.fromisoformat(order["delivered_on"]) + timedelta(days=RETURN_DAYS)
    if today > last_day:
        ended = f"ended on {weekday_text(last_day, today)}"
        raise ToolFailed(f"the {RETURN_DAYS} days for returning order {number} {ended}")


def too_late(order: sqlite3.Row, what: str, today: date) -> str:
    """Why an order can no longer be cancelled or redirected."""
    number, status = order["id"], order["status"]
    if status != "shipped":
        return f"order {number} has already been {status} and can no longer be {what}"
    since = f"order {number} was shipped on {weekday_text(order['shipped_on'], today)}"
    later = f"once it has arrived it can be returned within {RETURN_DAYS} days"
    return f"{since} and can no longer be {what}; {later}"


@contextmanager
def shop(context: ToolContext, *, writing: bool = False) -> Iterator[sqlite3.Connection]:
    """The open database; a writer holds it from its first look to its last change."""
    if not database().exists():
        make_shop(database(), today_of(context))
    with closing(sqlite3.connect(database(), timeout=5.0, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def signed_in(db: sqlite3.Connection, context: ToolContext) -> sqlite3.Row:
    """The signed-in customer."""
    customer = db.execute("SELECT * FROM customers WHERE id = ?", [context.user_id]).fetchone()
    if customer is None:
        raise ToolFailed("you are not signed in to a customer account")
    return customer  # type: ignore[no-any-return]  # sqlite3 types rows as Any


def own_order(db: sqlite3.Connection, context: ToolContext, order_id: str) -> sqlite3.Row:
    """The order, if it is the signed-in customer's; a missing and a foreign one look the same."""
    query = "SELECT * FROM orders WHERE id = ? AND customer_id = ?"
    order = db.execute(query, [order_id, context.user_id]).fetchone()
    if order is None:
        raise ToolFailed(f"there is no order {order_id} on your account")
    return order  # type: ignore[no-any-return]


def items_of(db: sqlite3.Connection, order_id: str) -> list[sqlite3.Row]:
    """The items of an order with their product and, where one was started, the number of their return."""
    return db.execute(
        "SELECT i.line, i.quantity, i.price_cents, p.name, p.weight_kg, p.made_to_order, r.id AS return_id "
        "FROM order_items i JOIN products p USING (sku) "
        "LEFT JOIN returns r ON r.order_id = i.order_id AND r.line = i.line "
        "WHERE i.order_id = ? ORDER BY i.line",
        [order_id],
    ).fetchall()


def today_of(context: ToolContext) -> date:
    """The day on which the customer writes."""
    return context.now().date()


def euros(cents: int) -> str:
    """1900 -> €19.00, 115000 -> €1,150.00."""
    return f"€{cents / 100:,.2f}"


def total(order: sqlite3.Row, items: Sequence[sqlite3.Row]) -> int:
    """What the customer paid, in cents."""
    goods: int = sum(item["price_cents"] * item["quantity"] for item in items)
    return goods + int(order["delivery_cents"])


def address_of(order: sqlite3.Row) -> str:
    """The delivery address on one line."""
    return f"{order['street']}, {order['city']}, {order['postcode']}"


def weekday_text(day: date | str, today: date) -> str:
    """Thursday 26 November; with the year where it is not the present one."""
    when = date.fromisoformat(day) if isinstance(day, str) else day
    text = f"{when:%A} {when.day} {when:%B}"
    return text if when.year == today.year else f"{text} {when.year}"


def spoken(name: str, day: date | str | None, today: date) -> dict[str, str | None]:
    """A date twice: ready to say under `name`, as ISO text under `name`_date."""
    if day is None:
        return {name: None, f"{name}_date": None}
    return {name: weekday_text(day, today), f"{name}_date": str(day)}
