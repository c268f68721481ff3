"""Whole dialogues in commands, compared with transcripts that a reviewer reads in the diff.

`UPDATE_GOLDEN=1 pytest tests/service/test_dialogue_transcripts.py` writes them anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from agentkit.commands import (
    Cancel,
    CannotHandle,
    ChitChat,
    Clarify,
    Command,
    Confirm,
    CorrectSlot,
    Deny,
    HandOff,
    KnowledgeQuestion,
    Repeat,
    SetSlot,
    StartFlow,
)
from agentkit.service.moves import Outcome
from tests.service.kiosk import Talk, kiosk

GOLDEN: Final = Path(__file__).parent / "golden"
Turns = Sequence[Sequence[Command]]


def start(flow: str) -> StartFlow:
    return StartFlow(flow=flow)


def give(slot: str, value: str | float | bool) -> SetSlot:
    return SetSlot(slot=slot, value=value, said=str(value))


def correct(slot: str, value: str | float) -> CorrectSlot:
    return CorrectSlot(slot=slot, value=value, said=str(value))


TO_CONFIRMATION: Final[Turns] = [
    [start("cancel_order"), give("order_id", "1042"), give("reason", "too_late")],
]

CASES: Final[Mapping[str, Turns]] = {
    "a flow asks for what it needs and acts after a yes": [
        [start("cancel_order")],
        [give("order_id", "1042")],
        [give("reason", "changed_mind")],
        [Confirm()],
    ],
    "all at once": [*TO_CONFIRMATION, [Confirm()]],
    "a no ends it and nothing is done": [*TO_CONFIRMATION, [Deny()]],
    "a correction during the confirmation voids it": [
        *TO_CONFIRMATION,
        [correct("order_id", "1043")],
        [Confirm()],
    ],
    "a yes with another value is no yes": [*TO_CONFIRMATION, [Confirm(), correct("order_id", "1043")]],
    "a no with another value asks about that": [*TO_CONFIRMATION, [Deny(), correct("order_id", "1043")]],
    "yes and no at once is asked again": [*TO_CONFIRMATION, [Confirm(), Deny()], [Confirm()]],
    "a correction goes back to the tool that looks": [
        [start("cancel_order"), give("order_id", "1042")],
        [correct("order_id", "1045")],
    ],
    "a value that a tool refuses is asked for again": [
        [start("cancel_order"), give("order_id", "9999")],
        [give("order_id", "1042")],
    ],
    "a value that does not fit is asked for again": [
        [start("send_gift"), give("email", "ada@mail.example"), give("amount", "much")],
        [give("amount", 20.0)],
    ],
    "a slot that is asked for too often goes to a person": [
        [start("cancel_order")],
        [CannotHandle()],
        [give("order_id", "12")],
        [CannotHandle(reason="empty")],
    ],
    "a rule stands against the call before anybody is asked": [
        [start("cancel_order"), give("order_id", "1044"), give("reason", "too_late")],
    ],
    "a digression and back": [
        [start("cancel_order")],
        [start("track"), give("order_id", "1044")],
        [give("order_id", "1042")],
    ],
    "a digression during the confirmation, which is asked anew": [
        *TO_CONFIRMATION,
        [start("track")],
        [give("order_id", "1044")],
        [Confirm()],
    ],
    "a question to the knowledge in the middle": [
        [start("cancel_order")],
        [KnowledgeQuestion(text="How long does a refund take?")],
        [give("order_id", "1042"), KnowledgeQuestion(text="Is it free?")],
    ],
    "two requests in one message": [
        [start("cancel_order"), give("order_id", "1042"), start("track"), give("order_id", "1044")],
        [give("reason", "too_late")],
        [Confirm()],
    ],
    "an answer and another request": [
        [start("cancel_order")],
        [give("order_id", "1042"), start("track")],
        [give("reason", "too_late")],
        [Confirm()],
        [give("order_id", "1044")],
    ],
    "forget it": [[start("cancel_order")], [Cancel()], [Cancel()]],
    "forget it, something else": [[start("cancel_order")], [Cancel(), start("track")]],
    "forget the digression": [[start("cancel_order")], [start("track")], [Cancel()]],
    "one process for two orders": [
        [start("cancel_order"), give("order_id", "1042"), start("cancel_order"), give("order_id", "1043")],
        [give("reason", "too_late")],
        [Confirm()],
        [give("reason", "too_late")],
        [Confirm()],
    ],
    "what was queued is dropped": [
        [start("cancel_order"), start("track")],
        [Cancel(flow="track")],
        [give("order_id", "1042")],
    ],
    "what?": [*TO_CONFIRMATION, [Repeat()], [Repeat()], [Confirm()]],
    "what do you mean?": [[start("cancel_order")], [Clarify()], *TO_CONFIRMATION, [Clarify()]],
    "which of several": [[Clarify(flows=("cancel_order", "track"))], [start("track")]],
    "silence": [[start("cancel_order")], [CannotHandle(reason="empty")]],
    "too long": [[start("cancel_order")], [CannotHandle(reason="too_long")]],
    "abuse, three times": [
        [start("cancel_order")],
        [ChitChat(intent="abuse")],
        [ChitChat(intent="abuse")],
        [ChitChat(intent="abuse")],
    ],
    "small talk in between": [[start("cancel_order")], [ChitChat(intent="thanks")]],
    "a person in the middle, and a fresh start": [
        [start("cancel_order"), give("order_id", "1042")],
        [HandOff(reason="")],
        [start("track")],
    ],
    "a yes and a no to nothing": [[Confirm()], [Deny()]],
    "yes to a question for yes or no": [
        [start("send_gift"), give("email", "ada@mail.example"), give("amount", 20.0)],
        [Confirm()],
        [Confirm()],
    ],
    "another way after a no": [
        [start("send_gift"), give("email", "a@b.example"), give("amount", 20.0), give("wrapped", False)],
        [Deny()],
        [give("amount", 10.0)],
        [Confirm()],
    ],
    "steps for when the tool can't": [
        [start("send_gift"), give("email", "nobody@b.example"), give("amount", 5.0), give("wrapped", False)],
        [Confirm()],
    ],
    "choices of now": [[start("choose_seat")], [give("seat", "C3")], [give("seat", "B2")]],
    "a text that fails": [[start("broken")]],
    "a loop without exit": [[start("endless")]],
    "a request that nobody knows": [[start("fly_to_the_moon")], [give("order_id", "1042")]],
}


@pytest.mark.parametrize("name", CASES)
def test_a_dialogue_goes_as_its_transcript_says(name: str) -> None:
    talk = Talk(kiosk(contact="call 020"))
    for commands in CASES[name]:
        talk.say(*commands)
    compare(name, talk)


def test_a_tool_that_is_down_keeps_the_slots_and_is_tried_again() -> None:
    talk = Talk(kiosk(contact="call 020"))
    talk.outcomes = {"cancel_order": [Outcome("down", text="it broke")], "look_up_order": [Outcome("down")]}
    talk.say(*TO_CONFIRMATION[0])
    talk.say(Confirm())
    talk.say(Confirm())
    talk.say(Confirm())
    compare("a tool that is down is tried again", talk)
    assert [call.tool for call in talk.calls] == [
        "look_up_order",
        "look_up_order",
        "cancel_order",
        "cancel_order",
    ]


def test_a_tool_that_stays_down_goes_to_a_person() -> None:
    talk = Talk(kiosk(contact="call 020"))
    talk.outcomes = {"look_up_order": [Outcome("down")] * 2}
    talk.say(*TO_CONFIRMATION[0])
    talk.say(Deny())
    compare("a tool that is down goes to a person", talk)


def test_an_effect_that_nobody_knows_of_is_not_repeated() -> None:
    talk = Talk(kiosk(contact="call 020"))
    talk.outcomes = {"cancel_order": [Outcome("doubt")]}
    talk.say(*TO_CONFIRMATION[0])
    talk.say(Confirm())
    compare("an effect that nobody knows of", talk)


def test_the_profile_gives_a_value_and_a_rule_wants_a_person() -> None:
    talk = Talk(kiosk(), {"gift_to": "ben@mail.example"})
    talk.say(start("send_gift"), give("amount", 500.0), give("wrapped", True))
    talk.say(Confirm())
    compare("the profile gives a value", talk)
    assert talk.calls[-1].reasons == ("more than 100 euros",)
    assert talk.calls[-1].settled == {
        "email": "ben@mail.example", "amount": 500.0, "wrapped": True, "text": "with love",
    }  # fmt: skip


def compare(name: str, talk: Talk) -> None:
    slug = "".join(c if c.isalnum() else "-" for c in name).replace("--", "-").strip("-")
    path = GOLDEN / f"{slug}.txt"
    text = "\n".join(talk.lines) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
