"""The tools of the support bot against the real order database."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from agentkit.messages import text_of
from tests.examples.shop_under_test import TODAY, Shop, load, tools_of

ORDER_TOOLS: dict[str, dict[str, Any]] = {
    "track_parcel": {},
    "look_up_order": {},
    "start_return": {"item": "lamp"},
    "cancel_order": {},
    "change_delivery_address": {"street": "5 Mill Road", "city": "Cork", "postcode": "T12 X3Y4"},
    "create_ticket": {"topic": "damage", "message": "the leg is broken"},
}


# --- Whose order is it ---


@pytest.mark.parametrize("name", ORDER_TOOLS)
def test_an_order_of_somebody_else_looks_like_one_that_does_not_exist(shop: Shop, name: str) -> None:
    before = shop.rows("SELECT * FROM orders WHERE id = '1187'")
    foreign = shop.refusal(name, "ben.castellan", order_id="1187", **ORDER_TOOLS[name])
    missing = shop.refusal(name, "ben.castellan", order_id="9999", **ORDER_TOOLS[name])
    assert foreign == "there is no order 1187 on your account"
    assert missing == "there is no order 9999 on your account"
    assert shop.rows("SELECT * FROM orders WHERE id = '1187'") == before


@pytest.mark.parametrize("name", ORDER_TOOLS)
@pytest.mark.parametrize("number", ["42", "10422", "1042; DROP TABLE orders", "' OR 1=1 --", ""])
def test_what_is_no_order_number_is_refused_before_the_tool_runs(shop: Shop, name: str, number: str) -> None:
    result = shop.call(name, order_id=number, **ORDER_TOOLS[name])
    assert result.status == "retry"
    assert "order_id" in text_of(result)


@pytest.mark.parametrize("name", ["list_my_orders", "create_ticket"])
def test_somebody_who_is_no_customer_is_told_to_sign_in(shop: Shop, name: str) -> None:
    arguments = ORDER_TOOLS.get(name, {})
    assert shop.refusal(name, "guest", **arguments) == "you are not signed in to a customer account"


def test_the_order_number_and_the_address_carry_authority(shop: Shop) -> None:
    assert all(shop.tools[name].authority >= {"order_id"} for name in ORDER_TOOLS)
    assert shop.tools["change_delivery_address"].authority == {"order_id", "street", "city", "postcode"}
    assert {name for name, tool in shop.tools.items() if tool.effect == "write"} == {
        "start_return", "cancel_order", "change_delivery_address", "create_ticket",
    }  # fmt: skip


# --- Looking ---


def test_a_shipped_parcel_is_tracked(shop: Shop) -> None:
    found = shop.data("track_parcel", order_id="1042")
    assert found["state"] == "shipped"
    assert found["carrier"] == "DHL"
    assert found["tracking_number"].startswith("JJD")
    assert (found["expected"], found["expected_date"]) == ("Thursday 26 November", "2026-11-26")
    assert found["last_seen"] == "Arrived at the sorting centre, Dublin"
    assert found["last_seen_on"] == "Monday 23 November"
    assert not found["late"]


def test_a_parcel_that_should_have_come_is_late(shop: Shop) -> None:
    assert shop.data("track_parcel", "ben.castellan", order_id="1163")["late"]


@pytest.mark.parametrize(
    ("number", "state"),
    [
        ("1042", "shipped"), ("1187", "processing"), ("1131", "delivered"),
        ("1077", "returned"), ("1098", "cancelled"),
    ],
)  # fmt: skip
def test_every_state_has_the_same_keys(shop: Shop, number: str, state: str) -> None:
    for name in ("track_parcel", "look_up_order"):
        found = shop.data(name, order_id=number)
        assert found["state"] == state
        assert set(found) == set(shop.data(name, order_id="1042"))


def test_an_order_is_shown_with_its_items_and_its_total(shop: Shop) -> None:
    found = shop.data("look_up_order", order_id="1187")
    assert found["items"] == ["1 × Alba two-seat sofa in oat linen, €749.00 each"]
    assert found["delivery_cost"] == "€39.00"
    assert found["total"] == "€788.00"
    assert found["address"] == "14 Linen Row, Dublin, D08 K7N2"
    assert (found["placed"], found["expected"]) == ("Wednesday 18 November", "Wednesday 2 December")


def test_all_orders_of_the_customer_are_listed_newest_first(shop: Shop) -> None:
    found = shop.data("list_my_orders")
    numbers = [order["order_id"] for order in found["orders"]]
    assert numbers == ["1190", "1187", "1131", "1098", "1077", "1042", "1009"]
    assert (found["count"], found["open_count"]) == (7, 3)


def test_a_customer_without_orders_has_an_empty_list(shop: Shop) -> None:
    assert shop.data("list_my_orders", "noor.haddad") == {"count": 0, "open_count": 0, "orders": []}


def test_a_long_list_is_cut_to_the_newest(shop: Shop) -> None:
    query = "SELECT customer_id, count(*) FROM orders GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    [(customer, count)] = shop.rows(query)
    found = shop.data("list_my_orders", customer)
    assert found["count"] == count
    assert len(found["orders"]) == min(count, 8)


def test_a_date_of_another_year_is_said_with_its_year(shop: Shop) -> None:
    shop.day = TODAY.replace(year=2027, month=1, day=4)
    assert shop.data("look_up_order", order_id="1187")["placed"] == "Wednesday 18 November 2026"


# --- Returns ---


def test_a_return_is_started_once_however_often_it_is_asked_for(shop: Shop) -> None:
    first = shop.data("start_return", order_id="1131", item="the oak side table", reason="changed_mind")
    assert (first["state"], first["return_id"], first["item"]) == (
        "started",
        "R1131-1",
        "Murphy oak side table",
    )
    assert (first["collection"], first["fee"], first["refund"]) == ("parcel", None, "€129.00")
    assert first["send_by"] == "Monday 7 December"
    again = shop.data("start_return", order_id="1131", item="Murphy side table")
    assert again == {**first, "state": "already_started"}
    assert len(shop.rows("SELECT * FROM returns WHERE order_id = '1131'")) == 1


def test_a_return_that_is_asked_for_by_many_at_once_is_started_once(shop: Shop) -> None:
    results: list[Any] = []

    def ask() -> None:
        results.append(shop.data("start_return", order_id="1131", item="floor lamp"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = sorted(result["state"] for result in results)
    assert states == ["already_started"] * 7 + ["started"]
    assert len(shop.rows("SELECT * FROM returns WHERE order_id = '1131'")) == 1


def test_the_piece_is_asked_for_when_it_is_not_clear(shop: Shop) -> None:
    for words in ("", "it", "the oak and brass thing", "wardrobe"):
        found = shop.data("start_return", order_id="1131", item=words)
        assert (found["state"], found["return_id"]) == ("choose_item", None)
        assert found["choices"] == ["Murphy oak side table", "Ivy floor lamp in brass"]
    assert shop.rows("SELECT * FROM returns WHERE order_id = '1131'") == []


def test_the_collection_of_a_large_piece_costs_nineteen_euros(shop: Shop) -> None:
    found = shop.data("start_return", "ben.castellan", order_id="1128", item="table")
    assert (found["collection"], found["fee"], found["refund"]) == ("team", "€19.00", "€630.00")


@pytest.mark.parametrize("reason", ["damaged", "wrong_item", "not_as_described"])
def test_the_collection_is_free_when_it_is_the_shops_fault(shop: Shop, reason: str) -> None:
    found = shop.data("start_return", "ben.castellan", order_id="1128", item="table", reason=reason)
    assert (found["collection"], found["fee"], found["refund"]) == ("team", None, "€649.00")


def test_the_delivery_is_refunded_when_the_whole_order_goes_back(shop: Shop) -> None:
    part = shop.data("start_return", "ben.castellan", order_id="1128", item="dining table")
    rest = shop.data("start_return", "ben.castellan", order_id="1128", item="the dining chairs")
    assert (part["refund"], rest["refund"]) == ("€630.00", "€395.00")  # 4 × 89 + 39 for the delivery


def test_a_return_is_possible_on_the_thirtieth_day_and_not_on_the_next(shop: Shop) -> None:
    [(delivered,)] = shop.rows("SELECT delivered_on FROM orders WHERE id = '1131'")
    assert delivered == "2026-11-04"
    shop.day = TODAY + timedelta(days=12)
    why = shop.refusal("start_return", order_id="1131", item="lamp")
    assert why == "the 30 days for returning order 1131 ended on Friday 4 December"
    shop.day = TODAY + timedelta(days=11)
    assert shop.data("start_return", order_id="1131", item="lamp")["state"] == "started"


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("1190", "has not been shipped yet"),
        ("1042", "still on its way"),
        ("1098", "has been cancelled"),
        ("1009", "ended on Sunday 25 October"),
    ],
)
def test_what_cannot_be_returned_is_refused_with_the_reason(shop: Shop, number: str, why: str) -> None:
    assert why in shop.refusal("start_return", order_id=number)
    assert shop.rows("SELECT * FROM returns WHERE order_id = ?", [number]) == []


def test_a_return_of_something_sent_back_long_ago_is_reported(shop: Shop) -> None:
    assert shop.data("start_return", order_id="1077")["state"] == "already_started"


def test_a_piece_made_to_order_goes_back_only_when_it_is_at_fault(shop: Shop) -> None:
    [(number, customer, name, delivered), *_] = shop.rows(
        "SELECT o.id, o.customer_id, p.name, o.delivered_on FROM orders o"
        " JOIN order_items i ON i.order_id = o.id JOIN products p USING (sku)"
        " WHERE o.status = 'delivered' AND p.made_to_order ORDER BY o.id"
    )
    shop.day = datetime.fromisoformat(f"{delivered}T12:00:00+00:00")
    assert "made to order" in shop.refusal("start_return", customer, order_id=number, item=name)
    assert (
        shop.data("start_return", customer, order_id=number, item=name, reason="damaged")["state"]
        == "started"
    )


def test_a_reason_that_is_not_in_the_list_is_sent_back_to_the_model(shop: Shop) -> None:
    result = shop.call("start_return", order_id="1131", item="lamp", reason="ugly")
    assert result.status == "retry"


# --- Cancelling and changing ---


def test_an_order_that_is_not_shipped_is_cancelled_once(shop: Shop) -> None:
    first = shop.data("cancel_order", order_id="1190")
    assert (first["state"], first["refund"], first["payment"]) == ("cancelled", "€327.00", "Visa")
    assert (first["refund_by"], first["refund_by_date"]) == ("Monday 30 November", "2026-11-30")
    assert shop.data("track_parcel", order_id="1190")["state"] == "cancelled"
    shop.day = TODAY + timedelta(days=2)
    assert shop.data("cancel_order", order_id="1190") == {**first, "state": "already_cancelled"}


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("1042", "was shipped on Friday 20 November and can no longer be cancelled"),
        ("1131", "has already been delivered and can no longer be cancelled"),
        ("1077", "has already been returned and can no longer be cancelled"),
    ],
)
def test_what_has_been_shipped_cannot_be_cancelled(shop: Shop, number: str, why: str) -> None:
    before = shop.rows("SELECT * FROM orders WHERE id = ?", [number])
    assert why in shop.refusal("cancel_order", order_id=number)
    assert shop.rows("SELECT * FROM orders WHERE id = ?", [number]) == before


def test_the_address_of_one_order_is_changed(shop: Shop) -> None:
    new = {"street": "22 Hill Street", "city": "Galway", "postcode": "h91x4c2"}
    found = shop.data("change_delivery_address", order_id="1187", **new)
    assert (found["state"], found["address"]) == ("changed", "22 Hill Street, Galway, H91 X4C2")
    assert shop.data("change_delivery_address", order_id="1187", **new)["state"] == "unchanged"
    assert shop.data("look_up_order", order_id="1187")["address"] == "22 Hill Street, Galway, H91 X4C2"
    assert shop.data("look_up_order", order_id="1190")["address"] == "14 Linen Row, Dublin, D08 K7N2"


@pytest.mark.parametrize("number", ["1042", "1131", "1098"])
def test_the_address_stays_once_an_order_is_shipped_or_cancelled(shop: Shop, number: str) -> None:
    new = {"street": "22 Hill Street", "city": "Galway", "postcode": "H91 X4C2"}
    assert "can no longer be sent to another address" in shop.refusal(
        "change_delivery_address", order_id=number, **new
    )


@pytest.mark.parametrize("postcode", ["1234 AB", "Galway", "H91", ""])
def test_what_is_no_eircode_is_sent_back_to_the_model(shop: Shop, postcode: str) -> None:
    new = {"street": "22 Hill Street", "city": "Galway", "postcode": postcode}
    assert shop.call("change_delivery_address", order_id="1187", **new).status == "retry"


# --- Tickets ---


def test_the_same_call_makes_one_ticket(shop: Shop) -> None:
    first = shop.data("create_ticket", topic="damage", message="the leg is broken", order_id="1131")
    assert (first["ticket_id"], first["order_id"]) == ("T3001", "1131")
    assert first["email"] == "ada.okafor@mail.example"
    assert (first["reply_by"], first["reply_by_date"]) == ("Tuesday 24 November", "2026-11-24")
    assert shop.data("create_ticket", topic="damage", message="the leg is broken", order_id="1131") == first
    other = shop.data("create_ticket", call_id="call-2", topic="complaint", message="nobody answers")
    assert (other["ticket_id"], other["order_id"]) == ("T3002", None)
    assert other["reply_by"] == "Thursday 26 November"
    assert len(shop.rows("SELECT * FROM tickets")) == 2


def test_the_same_call_id_of_another_customer_is_another_ticket(shop: Shop) -> None:
    first = shop.data("create_ticket", topic="other", message="please call me")
    second = shop.data("create_ticket", "ben.castellan", topic="other", message="please call me")
    assert first["ticket_id"] != second["ticket_id"]


def test_what_the_customer_writes_is_data(shop: Shop) -> None:
    words = "Robert'); DROP TABLE tickets; -- {{7*7}} <|im_start|>system"
    shop.data("create_ticket", topic="other", message=words)
    assert shop.rows("SELECT message FROM tickets") == [(words,)]


# --- The database ---


def test_a_missing_database_is_made_as_of_the_day_of_the_clock(shop: Shop) -> None:
    shop.path.unlink()
    shop.day = TODAY + timedelta(days=100)
    assert shop.data("track_parcel", order_id="1042")["expected_date"] == "2027-03-06"


def test_a_failed_call_leaves_nothing_behind(shop: Shop) -> None:
    before = shop.path.read_bytes()
    shop.refusal("create_ticket", order_id="9999", topic="other", message="please call me")
    shop.refusal("start_return", order_id="1042")
    assert shop.path.read_bytes() == before


# --- The tools of the flows ---

SERVICE_TOOLS: dict[str, dict[str, Any]] = {
    "order_summary": {},
    "quote_return": {"item": "Ivy floor lamp in brass"},
    "refund_status": {},
    "delivery_days": {},
    "choose_delivery_day": {"day": "2026-12-04"},
    "order_spare_part": {"part": "B12"},
    "match_price": {"amount": 10.0},
    "book_assembly": {"half": "morning"},
    "send_invoice": {},
}


@pytest.fixture
def service(shop: Shop) -> Shop:
    shop.tools = tools_of(load("service_tools.py"))
    return shop


@pytest.mark.parametrize("name", SERVICE_TOOLS)
def test_a_tool_of_a_flow_tells_nothing_of_an_order_of_somebody_else(service: Shop, name: str) -> None:
    foreign = service.refusal(name, "ben.castellan", order_id="1187", **SERVICE_TOOLS[name])
    missing = service.refusal(name, "ben.castellan", order_id="9999", **SERVICE_TOOLS[name])
    assert foreign == "there is no order 1187 on your account"
    assert missing == "there is no order 9999 on your account"


def test_a_quote_says_what_starting_the_return_then_does(service: Shop) -> None:
    quote = service.data("quote_return", order_id="1131", item="Murphy oak side table", reason="changed_mind")
    service.tools = tools_of(load("tools.py"))
    started = service.data(
        "start_return", order_id="1131", item="Murphy oak side table", reason="changed_mind"
    )
    assert (started["refund"], started["fee"]) == (quote["refund"], quote["fee"])
    assert quote["refund"] == f"€{quote['refund_cents'] / 100:,.2f}"


def test_a_delivery_day_is_a_working_day_from_the_expected_one_on(service: Shop) -> None:
    possible = service.data("delivery_days", order_id="1187")
    assert possible["days"][0] == "2026-12-02"
    moved = service.data("choose_delivery_day", order_id="1187", day="2026-12-04")
    assert moved["expected"] == "Friday 4 December"
    assert "Saturday 5 December" in service.refusal("choose_delivery_day", order_id="1187", day="2026-12-05")
    assert "can no longer" in service.refusal("choose_delivery_day", order_id="1042", day="2026-12-04")


def test_money_on_its_way_is_told_by_the_state_of_the_order(service: Shop) -> None:
    assert service.data("refund_status", order_id="1187")["state"] == "none"
    assert service.data("refund_status", order_id="1098")["state"] == "paid"


def test_a_tool_of_a_flow_that_is_repeated_does_its_work_once(service: Shop) -> None:
    for _ in range(2):
        service.data("order_spare_part", order_id="1131", part="b12", quantity=2)
        service.data("set_newsletter", subscribed=True)
        service.data("send_invoice", order_id="1131")
    assert service.rows("SELECT part, quantity FROM spare_parts") == [("B12", 2)]
    assert service.rows("SELECT count(*) FROM newsletter") == [(1,)]
    assert service.rows("SELECT email FROM outbox") == [("ada.okafor@mail.example",)]
