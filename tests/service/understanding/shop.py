"""A small shop: its flows, and situations in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from pydantic import JsonValue

from agentkit.commands import Command
from agentkit.intents import AnsweredBy, Prediction
from agentkit.prompts import PromptLibrary
from agentkit.service.sketch import Awaiting, FlowSketch, SlotSketch
from agentkit.service.understanding import Ask, Situation, Understood, understand
from agentkit.service.understanding.evaluation import command_line

WEDNESDAY: Final = date(2026, 11, 25)
PROMPTS: Final = PromptLibrary()

ORDER: Final = SlotSketch(
    "order_id", pattern=r"\d{4}", description="the order number", asked="Which order is it?"
)
DAY: Final = SlotSketch("day", "date", description="the new day of delivery", asked="On which day?")
AMOUNT: Final = SlotSketch("amount", "amount", description="the amount", currency="EUR", asked="How much?")
ITEM: Final = SlotSketch(
    "item", "choice", choices={"chair": ("armchair",), "sofa": ("couch",)}, asked="Which article?"
)
REASON: Final = SlotSketch("reason", description="why it is sent back", asked="What is the reason?")
GUESTS: Final = SlotSketch("guests", "integer", description="how many people", asked="For how many?")
GIFT: Final = SlotSketch(
    "gift_wrap", "boolean", description="whether it is wrapped", asked="Shall we wrap it?"
)
FROM: Final = SlotSketch("arrival", "date", description="the first day", asked="When do you arrive?")
STREET: Final = SlotSketch(
    "street", description="house number and street", examples=("22 Hill Street",), asked="Which street?"
)
CITY: Final = SlotSketch("city", description="the town", examples=("Galway",), asked="Which town?")
UNTIL: Final = SlotSketch("departure", "date", description="the last day", asked="When do you leave?")


def flow(name: str, description: str, *slots: SlotSketch) -> FlowSketch:
    return FlowSketch(name, description, (name,), {slot.name: slot for slot in slots})


FLOWS: Final = {
    each.name: each
    for each in (
        flow("track_order", "Say where an order is.", ORDER),
        flow("cancel_order", "Cancel a whole order.", ORDER),
        flow("move_delivery", "Move a delivery to another day.", ORDER, DAY),
        flow("refund", "Pay money back.", ORDER, AMOUNT),
        flow("return_item", "Send an article back.", ORDER, ITEM, REASON),
        flow("change_address", "Send an order elsewhere.", ORDER, STREET, CITY),
        flow("book_workshop", "Book a place in a workshop.", FROM, UNTIL, GUESTS, GIFT),
    )
}
ANSWERED_BY: Final[dict[str, AnsweredBy]] = {
    "hours": "knowledge",
    "greeting": "answer",
    "complaint": "hand_off",
}
NOTHING: Final = Prediction(None, 0.1, (("track_order", 0.1),), 0.1)


def wants(intent: str, probability: float = 0.95) -> Prediction:
    rest = ("hours", (1 - probability) / 2)
    return Prediction(intent, probability, ((intent, probability), rest), probability)


def unsure(*ranking: tuple[str, float], in_scope: float = 0.5) -> Prediction:
    return Prediction(None, ranking[0][1], ranking, in_scope)


def said(text: str, prediction: Prediction = NOTHING) -> Situation:
    """A message out of the blue."""
    return Situation(text, FLOWS, WEDNESDAY, prediction, ANSWERED_BY)


def asked(
    flow_name: str, slot: str, text: str, prediction: Prediction = NOTHING, **filled: JsonValue
) -> Situation:
    """A message after a question for a slot."""
    waiting = Awaiting("slot", FLOWS[flow_name].slots[slot].asked, flow_name, slot)
    return replace(said(text, prediction), active=flow_name, awaiting=waiting, filled=filled)


def confirming(flow_name: str, text: str, prediction: Prediction = NOTHING, **filled: JsonValue) -> Situation:
    """A message after a question for a yes."""
    waiting = Awaiting("confirmation", "Is that right?", flow_name)
    return replace(said(text, prediction), active=flow_name, awaiting=waiting, filled=filled)


def lines(situation: Situation, ask: Ask | None = None) -> list[str]:
    return [command_line(each) for each in understood(situation, ask).commands]


def understood(situation: Situation, ask: Ask | None = None) -> Understood:
    return understand(situation, ask=ask, prompts=PROMPTS)


def values_of(commands: Sequence[Command]) -> dict[str, object]:
    return {each.slot: each.value for each in commands if each.type in ("set_slot", "correct_slot")}
