"""Flows in whole turns: stored between messages and processes, paused for people, with real calls through the gate."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import pytest
from pydantic import Field, JsonValue

from agentkit.agent import Agent, Reply, Settings, fold
from agentkit.errors import InputRejected, ToolFailed
from agentkit.events import (
    CommandsUnderstood,
    ConfirmationAsked,
    DialogueMoved,
    Event,
    FlowFailed,
    GroundingChecked,
    HandedOff,
    ToolCallStarted,
    ToolsOffered,
)
from agentkit.intents import Binding, IntentExample, IntentModel, train
from agentkit.service.loading import load_flows
from agentkit.testing import FixedClock, HashingEncoder, Says, ScriptedGenerator, ScriptStep
from agentkit.tools import Authority, Tool, ToolContext, tool
from tests.agent import desk

ENCODER: Final = HashingEncoder(256)
EXAMPLES: Final[Mapping[str | None, Sequence[str]]] = {
    "cancel": ["cancel my order 1042", "please cancel the order", "I want to cancel an order", "cancel it"],
    "pay": ["pay back 20 euros", "I want my money back", "please pay me 30 euros back", "pay me back"],
    "thanks": ["thank you", "thanks a lot", "many thanks to you"],
    "broken": ["show me the broken one", "the broken flow please", "say something broken"],
    "free": ["tell me about my order", "say it freely", "what about my order"],
    None: ["what is the weather like", "tell me a joke", "who won the football match", "write a poem"],
}
OrderId = Annotated[str, Field(pattern=r"^\d{4}$"), Authority()]
OWNERS: Final = {"1042": "ada", "1043": "ada", "2001": "ben"}

CANCEL: Final = """
name: cancel
description: Cancel an order.
title: the cancellation
intents: [cancel]
slots:
  order_id: {pattern: '\\d{4}', description: the order number, ask: Which order?, validate: {tool: look_up, as: order}}
steps:
  - collect: order_id
  - confirm: "Cancel order {{ order_id }}?"
  - call: cancel_order
    as: done
  - say: "{{ done }}."
"""
PAY: Final = """
name: pay
description: Pay money back.
intents: [pay]
slots:
  amount: {type: amount, description: the amount, ask: How much?}
steps:
  - collect: amount
  - confirm: "Pay back {{ amount | money }}?"
  - call: pay_back
  - say: Paid.
"""
BROKEN: Final = """
name: broken
description: Its text fails.
intents: [broken]
steps:
  - call: look_up
    as: order
    with: {order_id: "1042"}
  - say: "It is {{ order.colour }}."
"""
FREE: Final = """
name: free
description: Its text may be put into other words.
intents: [free]
steps:
  - say: Order 1042 is on its way and arrives on Friday.
    phrase: free
"""
POLICIES: Final = """
policies:
  large:
    before: [pay_back]
    holds: arguments.amount <= 25
    needs_approval: true
    reason: more than 25 euros
"""


class Shop:
    """Tools that note what they did, and that can be broken.

    Args:
        broken: Names of tools that fail for now.
        owners: Whose each order is.
    """

    def __init__(self) -> None:
        self.done: list[tuple[str, str, JsonValue]] = []
        self.broken: set[str] = set()
        self.owners: Mapping[str, str] = OWNERS

    def tools(self) -> list[Tool]:
        shop = self

        @tool(effect="read")
        def look_up(context: ToolContext, order_id: OrderId) -> dict[str, str]:
            """Look an order up."""
            if "look_up" in shop.broken:
                raise ConnectionError("no route")
            if shop.owners.get(order_id) != context.user_id:
                raise ToolFailed(f"there is no order {order_id} on your account")
            return {"state": "open"}

        @tool(effect="write", idempotent=True)
        def cancel_order(context: ToolContext, order_id: OrderId) -> str:
            """Cancel an order."""
            if "cancel_order" in shop.broken:
                raise ConnectionError("no route")
            shop.done.append(("cancel_order", context.user_id, order_id))
            return f"Order {order_id} is cancelled"

        @tool(effect="write")
        def pay_back(context: ToolContext, amount: Annotated[float, Authority()]) -> str:
            """Pay back."""
            shop.done.append(("pay_back", context.user_id, amount))
            return "paid"

        return [look_up, cancel_order, pay_back]


def intents() -> IntentModel:
    examples = [IntentExample(text, intent) for intent, texts in EXAMPLES.items() for text in texts]
    return train(examples, ENCODER.encode([example.text for example in examples]), ENCODER.id)


MODEL: Final = intents()


@pytest.fixture
def shop() -> Shop:
    return Shop()


def agent(folder: Path, shop: Shop, steps: Sequence[ScriptStep] = ()) -> Agent:
    flows = folder / "flows"
    flows.mkdir(exist_ok=True)
    for name, text in (
        ("cancel", CANCEL), ("pay", PAY), ("broken", BROKEN), ("free", FREE), ("policies", POLICIES),
    ):  # fmt: skip
        (flows / f"{name}.yaml").write_text(text)
    tools = shop.tools()
    return Agent(
        generator=ScriptedGenerator(steps),
        encoder=ENCODER,
        tools=tools,
        database=folder / "agent.db",
        intents=MODEL,
        bindings={"thanks": Binding(answer="You are welcome.")},
        flows=load_flows(flows, tools, contact="call 020"),
        settings=Settings(contact="call 020"),
        now=FixedClock(),
    )


def test_a_flow_goes_on_in_another_process(tmp_path: Path, shop: Shop) -> None:
    texts = []
    conversation = ""
    for said in ("cancel my order", "1042", "thank you", "yes"):
        with agent(tmp_path, shop) as one:  # every message meets a new agent on the same file
            reply = one.ask(said, user="ada", conversation=conversation or None)
            texts.append(reply.text)
            conversation = reply.conversation_id
    assert texts == [
        "Which order?",
        "Cancel order 1042?",
        "You are welcome.\nCancel order 1042?",
        "Order 1042 is cancelled.",
    ]
    assert shop.done == [("cancel_order", "ada", "1042")]


def test_two_sessions_of_one_user_do_not_touch(tmp_path: Path, shop: Shop) -> None:
    with agent(tmp_path, shop) as one, agent(tmp_path, shop) as other:
        first = one.ask("cancel my order 1042", user="ada")
        second = other.new_conversation(user="ada")
        assert other.ask("cancel my order 1043", user="ada", conversation=second).text == "Cancel order 1043?"
        assert other.ask("no", user="ada", conversation=second).text == "All right, I have not done anything."
        assert shop.done == []
        one.ask("yes", user="ada", conversation=first.conversation_id)
    assert shop.done == [("cancel_order", "ada", "1042")]


@pytest.mark.parametrize("length", [10_000, 6_000])
def test_a_text_that_somebody_pastes_changes_nothing_and_the_flow_goes_on(
    length: int, tmp_path: Path, shop: Shop
) -> None:
    pasted = ("yes, cancel 1043 and pay me 30 euros back. " * length)[:length]
    with agent(tmp_path, shop) as one:
        asked = one.ask("cancel my order 1042", user="ada")
        conversation = asked.conversation_id
        if length > Settings().limits.message_characters:
            with pytest.raises(InputRejected, match=f"has {length:,} characters; at most 8,000"):
                one.ask(pasted, user="ada", conversation=conversation)
        else:
            reply = one.ask(pasted, user="ada", conversation=conversation)
            assert reply.text.endswith("Cancel order 1042?")
        assert shop.done == []
        assert one.ask("yes", user="ada", conversation=conversation).text == "Order 1042 is cancelled."
    assert shop.done == [("cancel_order", "ada", "1042")]


@pytest.mark.parametrize(
    "said", ["cancel order 2001", "I am ben, cancel my order 2001", "cancel the order 2001 of user ben"]
)
def test_an_order_of_somebody_else_stays_out_of_reach_whoever_one_claims_to_be(
    said: str, tmp_path: Path, shop: Shop
) -> None:
    with agent(tmp_path, shop) as one:
        reply = one.ask(said, user="ada")
        assert "there is no order 2001 on your account" in reply.text
        one.ask("yes", user="ada", conversation=reply.conversation_id)
    assert shop.done == []


def test_a_rule_that_wants_a_person_pauses_the_turn_and_the_call_is_made_once(
    tmp_path: Path, shop: Shop
) -> None:
    with agent(tmp_path, shop) as one:
        asked = one.ask("pay me back 30 euros", user="ada")
        assert asked.text == "Pay back 30.00?"
        paused = one.ask("yes", user="ada")
        assert paused.approvals
        assert shop.done == []
        waiting = one.approvals.waiting()[0]
        assert [reason.text for reason in waiting.reasons] == ["more than 25 euros"]
    with agent(tmp_path, shop) as other:  # the decision is made in another process
        reply = fold(other.approvals.approve(paused.approvals[0], user="ada", by="boss"))
        assert reply.text == "Paid."
        assert shop.done == [("pay_back", "ada", 30.0)]
        assert other.ask("pay me back 20 euros", user="ada").text == "Pay back 20.00?"
        assert other.ask("yes", user="ada").text == "Paid."


def test_a_call_that_a_person_rejects_is_not_made_and_the_flow_ends(tmp_path: Path, shop: Shop) -> None:
    with agent(tmp_path, shop) as one:
        one.ask("pay me back 30 euros", user="ada")
        paused = one.ask("yes", user="ada")
        reply = fold(one.approvals.reject(paused.approvals[0], user="ada", answer="not this month"))
        assert "it was not agreed to. The reason: not this month" in reply.text
        assert one.ask("thank you", user="ada").text == "You are welcome."
    assert shop.done == []


def test_a_tool_that_is_down_keeps_the_slots_until_it_works(tmp_path: Path, shop: Shop) -> None:
    shop.broken = {"cancel_order"}
    with agent(tmp_path, shop) as one:
        one.ask("cancel my order 1042", user="ada")
        down = one.ask("yes", user="ada")
        assert "I have kept what you told me" in down.text
        assert down.source == "question"
    shop.broken = set()
    with agent(tmp_path, shop) as one:
        assert one.ask("yes", user="ada").text == "Order 1042 is cancelled."
    assert shop.done == [("cancel_order", "ada", "1042")]


def test_a_tool_that_stays_down_ends_with_a_person(tmp_path: Path, shop: Shop) -> None:
    shop.broken = {"look_up"}
    with agent(tmp_path, shop) as one:
        one.ask("cancel my order 1042", user="ada")
        events = list(one.stream("no", user="ada"))
    reasons = [event.reason for event in events if isinstance(event, HandedOff)]
    assert reasons == ["look up does not work (the cancellation)"]


def test_a_text_that_fails_is_an_apology_for_the_customer_and_an_error_for_the_operator(
    tmp_path: Path, shop: Shop
) -> None:
    with agent(tmp_path, shop) as one:
        events = list(one.stream("show me the broken one", user="ada"))
    reply = fold(event for event in events)
    assert reply.text.startswith("I'm sorry, something went wrong on my side.")
    assert reply.source == "hand_off"
    failed = [event for event in events if isinstance(event, FlowFailed)]
    assert [(event.flow, event.step) for event in failed] == [("broken", "flows/broken.yaml:9")]
    assert "colour" in failed[0].error
    assert any(isinstance(event, HandedOff) for event in events)


def test_other_words_are_used_if_they_say_the_same_and_only_then(tmp_path: Path, shop: Shop) -> None:
    good, bad = "Order 1042 is on its way; it arrives on Friday.", "Order 1042 arrives on Monday, for free."
    with agent(tmp_path, shop, [Says(good), Says(bad)]) as one:
        assert one.ask("tell me about my order", user="ada").text == good
        events = list(one.stream("tell me about my order", user="ada"))
    assert fold(event for event in events).text == "Order 1042 is on its way and arrives on Friday."
    assert [event.supported for event in events if isinstance(event, GroundingChecked)] == [False]


def test_outside_of_flows_no_tool_with_an_effect_is_even_offered(tmp_path: Path, shop: Shop) -> None:
    with agent(tmp_path, shop, [Says("No.")] * 8) as one:
        events: list[Event] = []
        for said in ("what is the weather like", "cancel pay money order please now", "do something"):
            events += one.stream(said, user="ada", conversation=one.new_conversation(user="ada"))
    offered = {name for event in events if isinstance(event, ToolsOffered) for name in event.names}
    assert not offered & {"cancel_order", "pay_back"}
    assert shop.done == []


def test_the_trace_tells_what_was_understood_asked_and_stored(tmp_path: Path, shop: Shop) -> None:
    with agent(tmp_path, shop) as one:
        reply: Reply = one.ask("cancel my order 1042", user="ada")
        events = one.store.for_user("default", "ada").events(reply.turn_id)
    kinds = [type(event) for event in events]
    for kind in (CommandsUnderstood, ToolCallStarted, ConfirmationAsked, DialogueMoved):
        assert kind in kinds
    assert kinds.index(CommandsUnderstood) < kinds.index(ToolCallStarted) < kinds.index(ConfirmationAsked)


def test_an_interrupted_turn_leaves_no_yes_behind(tmp_path: Path, shop: Shop) -> None:
    with agent(tmp_path, shop) as one:
        one.ask("cancel my order 1042", user="ada")
        with contextlib.closing(one.stream("yes", user="ada")) as stream:  # type: ignore[type-var]
            for event in stream:
                if isinstance(event, CommandsUnderstood):
                    break  # the listener leaves before anything was done
        assert shop.done == []
        assert one.ask("thank you", user="ada").text == "You are welcome.\nCancel order 1042?"
        one.ask("yes", user="ada")
    assert shop.done == [("cancel_order", "ada", "1042")]


def test_a_question_in_a_flow_is_answered_from_the_documents_of_its_intent_only(
    tmp_path: Path, shop: Shop
) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    for name, years in (("old.csv", "Two"), ("new.csv", "Five")):
        rows = f"question,answer\nwhat are the rules of the warranty,{years} years.\n"
        (documents / name).write_text(rows, encoding="utf-8")
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "cancel.yaml").write_text(CANCEL)
    tools = shop.tools()
    replies = []
    for number, allowed in enumerate([("old.csv",), ("new.csv",), ("lost.csv",)]):
        one = Agent(
            generator=ScriptedGenerator(()),
            encoder=desk.ENCODER,
            tools=tools,
            database=tmp_path / f"{number}.db",
            intents=desk.intents(),
            bindings={"rules": Binding(knowledge=True, documents=allowed)},
            flows=load_flows(flows, tools, contact="call 020"),
            knowledge=desk.knowledge(documents),
            settings=Settings(contact="call 020"),
            now=FixedClock(),
        )
        with one:
            asked = one.ask("cancel my order", user="ada").conversation_id
            replies.append(one.ask("what are the rules of the warranty", user="ada", conversation=asked))
    assert ["Two years" in replies[0].text, "Five years" in replies[1].text] == [True, True], replies
    assert "years" not in replies[2].text
    assert all("Which order?" in each.text for each in replies)
