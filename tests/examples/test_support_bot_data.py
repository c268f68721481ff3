"""The content of the support bot agrees with itself: shop, tools, intents, help pages, replies, scenarios."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from agentkit.intents.examples import IntentFile, load_examples, normalised
from agentkit.prompts import PromptLibrary
from agentkit.service.flow import Call
from agentkit.service.loading import load_flows
from tests.examples.shop_under_test import BOT, TODAY, Shop, load, tools_of

BENCHMARKS: Final = BOT.parents[1] / "benchmarks"
ARTICLES: Final = sorted((BOT / "knowledge").glob("*.md"))
KNOWLEDGE: Final = "\n".join(path.read_text(encoding="utf-8") for path in ARTICLES)


@pytest.fixture(scope="module")
def intents() -> IntentFile:
    return load_examples(BOT / "intents.yaml")


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (BENCHMARKS / name).read_text(encoding="utf-8").splitlines()]


# --- The shop ---


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def test_the_shop_is_the_same_every_time(tmp_path: Path, new_shop: Path) -> None:
    load("make_shop.py").make_shop(tmp_path / "again.sqlite", TODAY.date())
    assert dump(tmp_path / "again.sqlite") == dump(new_shop)


def test_another_day_moves_the_dates_and_nothing_else(tmp_path: Path, new_shop: Path) -> None:
    load("make_shop.py").make_shop(tmp_path / "later.sqlite", TODAY.date() + timedelta(days=7))
    moved = [
        re.sub(r"\d{4}-\d\d-\d\d", lambda m: str(date.fromisoformat(m[0]) - timedelta(days=7)), line)
        for line in dump(tmp_path / "later.sqlite")
    ]
    assert moved == dump(new_shop)


def test_the_shop_has_the_size_that_is_promised(shop: Shop) -> None:
    assert shop.rows("SELECT count(*) FROM orders") == [(200,)]
    assert shop.rows("SELECT count(*) FROM customers") == [(60,)]
    assert shop.rows("SELECT count(*) FROM products") == [(40,)]
    states = dict(shop.rows("SELECT status, count(*) FROM orders GROUP BY status"))
    assert set(states) == {"processing", "shipped", "delivered", "cancelled", "returned"}
    assert min(states.values()) >= 5


def test_the_dates_of_every_order_fit_its_state(shop: Shop) -> None:
    today = TODAY.date().isoformat()
    query = "SELECT id, status, ordered_on, expected_on, shipped_on, delivered_on, cancelled_on FROM orders"
    for number, status, ordered, expected, shipped, delivered, cancelled in shop.rows(query):
        under_way = status in ("processing", "shipped")
        assert ordered <= today, number
        assert (expected is not None) == under_way, number
        assert (shipped is not None) == (status in ("shipped", "delivered", "returned")), number
        assert (delivered is not None) == (status in ("delivered", "returned")), number
        assert (cancelled is not None) == (status == "cancelled"), number
        days = [day for day in (ordered, shipped, delivered) if day]
        assert days == sorted(days), number
        assert all(day <= today for day in days), number
        if arrival := delivered or expected:
            assert date.fromisoformat(arrival).weekday() < 5, (
                f"{number}: deliveries come from Monday to Friday"
            )


def test_carrier_and_delivery_price_follow_the_help_pages(shop: Shop) -> None:
    query = (
        "SELECT o.id, carrier, delivery_cents, max(weight_kg), sum(i.price_cents * quantity)"
        " FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products USING (sku) GROUP BY o.id"
    )
    for number, carrier, delivery, heaviest, goods in shop.rows(query):
        large = heaviest > 20
        assert (carrier != "DHL") == large, number
        assert delivery == (3900 if large else 0 if goods >= 7500 else 490), number


def test_nothing_is_left_of_an_order_database_that_could_not_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "shop.sqlite"
    folder.mkdir()
    with pytest.raises(OSError, match=r"shop\.sqlite"):
        load("make_shop.py").make_shop(folder)
    assert folder.is_dir()


# --- Intents ---


def test_there_are_enough_varied_examples(intents: IntentFile) -> None:
    counts = Counter(example.intent for example in intents.examples)
    out_of_scope = counts.pop(None)
    assert out_of_scope >= 40
    assert len(counts) >= 12
    assert min(counts.values()) >= 15
    assert set(counts) == set(intents.bindings)


def test_every_intent_is_bound_to_something_that_exists(intents: IntentFile) -> None:
    tools = tools_of(load("tools.py")) | tools_of(load("service_tools.py"))
    book = load_flows(BOT / "flows", tools.values(), intents=set(intents.bindings))
    bound = {name for binding in intents.bindings.values() for name in binding.tools}
    for loaded in book.flows.values():
        bound |= {node.step.call for node in loaded.nodes if isinstance(node.step, Call)}
        bound |= {slot.check.tool for slot in loaded.flow.slots.values() if slot.check is not None}
    assert bound == set(tools)
    assert all(bool(each.ways()) != (name in book.by_intent) for name, each in intents.bindings.items())
    assert len([each for each in book.flows.values() if not each.flow.is_pattern]) >= 10


def test_no_held_out_message_is_an_example(intents: IntentFile) -> None:
    held_out = records("support_bot_messages.jsonl")
    examples = {normalised(example.text) for example in intents.examples}
    assert len(held_out) >= 80
    assert [row["text"] for row in held_out if normalised(row["text"]) in examples] == []
    assert {row["intent"] for row in held_out} == {*intents.bindings, None}


# --- Help pages ---


@pytest.mark.parametrize("path", ARTICLES, ids=lambda path: path.stem)
def test_a_help_page_is_a_page_of_answers(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert text.startswith("# ")
    assert 150 <= len(text.split()) <= 400
    assert len(headings) >= 3
    assert len(set(headings)) == len(headings)
    for section in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert len(section.split()) >= 8, section


def test_there_are_enough_help_pages() -> None:
    assert len(ARTICLES) >= 20


def test_the_help_pages_name_one_address_of_each_kind() -> None:
    assert set(re.findall(r"[\w.]+@[\w.]+\w", KNOWLEDGE)) == {
        "help@thornbyvale.example",
        "business@thornbyvale.example",
    }
    assert set(re.findall(r"\b0\d\d \d{3} \d{4}\b", KNOWLEDGE)) == {"020 910 0042"}
    assert set(re.findall(r"\b[A-Z]\d[\dW] [A-Z0-9]{4}\b", KNOWLEDGE)) == {"H91 V2T5"}


def test_the_help_pages_state_the_rules_that_the_tools_keep() -> None:
    tools, make_shop = load("shop_data.py"), load("make_shop.py")
    assert f"within {tools.RETURN_DAYS} days after it was delivered" in KNOWLEDGE
    assert f"refund you within {tools.REFUND_WORKING_DAYS} working days" in KNOWLEDGE
    assert f"costs €{tools.LARGE_COLLECTION_CENTS // 100} per piece" in KNOWLEDGE
    assert f"up to {make_shop.LARGE_KG:.0f} kg" in KNOWLEDGE
    assert f"This costs €{make_shop.LARGE_DELIVERY // 100} per order" in KNOWLEDGE
    assert f"€{make_shop.PARCEL_DELIVERY / 100:.2f} per order" in KNOWLEDGE
    assert f"come to €{make_shop.FREE_PARCEL_FROM // 100} or more" in KNOWLEDGE


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"within (\d+) days after the delivery", {"7"}),  # damage
        (r"warranty of (\d+) years?", {"1", "2"}),  # in a business, at home
        (r"answered within (\w+) working days?", {"one", "3"}),  # e-mails, complaints
        (r"€(\d+(?:\.\d\d)?) (?:for the|per) delivery", {"39", "4.90"}),
        (r"made to order take (\d+ to \d+) weeks", {"6 to 8"}),
        (r"VAT at (\d+) %", {"23"}),
    ],
)
def test_what_is_said_on_several_pages_is_said_alike(pattern: str, said: set[str]) -> None:
    assert set(re.findall(pattern, KNOWLEDGE)) <= said
    assert re.search(pattern, KNOWLEDGE)


def test_the_pieces_made_to_order_are_those_of_the_catalogue() -> None:
    page = (BOT / "knowledge" / "made-to-order.md").read_text(encoding="utf-8")
    pieces = [product.name for product in load("make_shop.py").read_catalogue() if product.made_to_order]
    assert len(pieces) == 5
    for name in pieces:
        assert name.split()[0] in page, name


def test_the_unanswerable_questions_have_no_answer_in_the_help_pages() -> None:
    rows = records("support_bot_unanswerable.jsonl")
    assert len(rows) >= 20
    known = KNOWLEDGE.casefold()
    found = [
        (row["text"], word)
        for row in rows
        for word in row["absent"]
        if re.search(rf"\b{re.escape(word)}", known)
    ]
    assert found == []


# --- Replies ---


class Replies:
    """Renders the bot's reply templates as the loop does."""

    def __init__(self) -> None:
        self._prompts = PromptLibrary()

    def render(self, name: str, **values: object) -> str:
        text = self._prompts.render_file(BOT / "replies" / f"{name}.jinja", **values).strip()
        assert text, name
        assert "None" not in text
        assert "  " not in text
        return text

    def say(self, tool: str, result: Any) -> str:
        return self.render(tool, result=result, arguments={}, today="2026-11-23", contact="")


@pytest.mark.parametrize("name", ["track_parcel", "look_up_order"])
def test_every_order_of_the_shop_can_be_spoken_of(shop: Shop, name: str) -> None:
    replies = Replies()
    for number, customer in shop.rows("SELECT id, customer_id FROM orders"):
        result = shop.data(name, customer, order_id=number)
        assert number in replies.say(name, result)


def test_what_the_customer_hears_about_a_parcel(shop: Shop) -> None:
    replies = Replies()
    said = replies.say("track_parcel", shop.data("track_parcel", order_id="1042"))
    assert said.startswith(
        "Good news: order 1042 is on its way with DHL and should reach you on Thursday 26 November."
    )
    assert "Last reported: Arrived at the sorting centre, Dublin, on Monday 23 November." in said
    late = replies.say("track_parcel", shop.data("track_parcel", "ben.castellan", order_id="1163"))
    assert "it should have arrived on Wednesday 18 November" in late
    shop.day = TODAY + timedelta(days=30)
    assert "has not left our warehouse yet" in replies.say(
        "track_parcel", shop.data("track_parcel", order_id="1187")
    )


def test_lists_of_every_length_can_be_spoken(shop: Shop) -> None:
    replies = Replies()
    customers = shop.rows(
        "SELECT c.id, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY 1"
    )
    assert {0, 1}.issubset({count for _, count in customers})
    for customer, count in customers:
        said = replies.say("list_my_orders", shop.data("list_my_orders", customer))
        assert said.count("\n- ") == min(count, 8)
    assert "no orders on your account" in replies.say(
        "list_my_orders", shop.data("list_my_orders", "noor.haddad")
    )


def test_every_outcome_of_a_tool_with_an_effect_can_be_spoken(shop: Shop) -> None:
    replies = Replies()

    def hear(name: str, user: str = "ada.okafor", call_id: str = "call-1", **arguments: Any) -> str:
        return replies.say(name, shop.data(name, user, call_id, **arguments))

    assert "Which one would you like to send back?" in hear("start_return", order_id="1131")
    lamp = {"order_id": "1131", "item": "lamp"}
    assert "has the number R1131-2" in hear("start_return", **lamp)
    assert "is already under way: its number is R1131-2" in hear("start_return", **lamp)
    assert "A return has been started for: Ivy floor lamp in brass." in hear("look_up_order", order_id="1131")
    table = {"order_id": "1128", "item": "table"}
    assert "The collection costs €19.00" in hear("start_return", "ben.castellan", **table)
    chairs = {"order_id": "1128", "item": "chairs", "reason": "damaged"}
    assert "Sending it back is free." in hear("start_return", "ben.castellan", **chairs)
    assert "You get €327.00 back by Monday 30 November" in hear("cancel_order", order_id="1190")
    assert "was already cancelled on Monday 23 November" in hear("cancel_order", order_id="1190")
    new = {"order_id": "1187", "street": "22 Hill Street", "city": "Galway", "postcode": "H91 X4C2"}
    assert "now goes to 22 Hill Street, Galway, H91 X4C2" in hear("change_delivery_address", **new)
    assert "nothing had to be changed" in hear("change_delivery_address", **new)
    for topic in ("damage", "missing_part", "delivery", "payment", "product", "complaint", "other"):
        ticket = {"topic": topic, "message": "please look at this"}
        assert re.search(r"T\d{4}", hear("create_ticket", call_id=topic, **ticket))
        assert "order 1131" in hear("create_ticket", call_id=f"{topic}-2", order_id="1131", **ticket)


def test_every_result_and_every_missing_value_has_its_words() -> None:
    tools = tools_of(load("tools.py"))
    templates = {path.stem for path in (BOT / "replies").glob("*.jinja")}
    asked = {f"ask_{argument}" for tool in tools.values() for argument in tool.authority}
    assert templates == set(tools) | asked
    for name in asked:
        for tool in tools:
            for earlier in ([], ["1042"], ["1042", "1187"]):
                Replies().render(name, tool=tool, argument="", description="", suggestions=earlier)
