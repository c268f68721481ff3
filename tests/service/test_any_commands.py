"""Whatever a message is taken for, and whatever tools answer: no effect without a yes to it, no rule broken, no end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

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
from agentkit.events import ConfirmationAnswered, ConfirmationAsked, Event, SlotSet
from agentkit.service.book import FlowBook
from agentkit.service.moves import CallTool, Outcome, OutcomeStatus
from tests.service.kiosk import ORDERS, Talk, kiosk

CONVERSATIONS: Final = 1000
FLOWS: Final = (
    "cancel_order",
    "send_gift",
    "sneak_past",
    "change_after",
    "track",
    "choose_seat",
    "broken",
    "endless",
    "unknown",
)
VALUES: Final = (
    "1042", "1043", "1044", "1045", "9999", "too_late", "A1", "a@b.example", "nobody@b.example",
    20.0, 500.0, True, False, "", "x" * 5000, None,
)  # fmt: skip
SLOTS: Final = ("order_id", "reason", "email", "amount", "wrapped", "note", "seat", "again", "nothing")
OUTCOMES: Final[Sequence[OutcomeStatus]] = ("down", "doubt", "rejected", "refused", "cannot", "settled")


def any_command(chance: random.Random) -> Command:
    slot, value = chance.choice(SLOTS), chance.choice(VALUES)
    flow = chance.choice(FLOWS)
    return chance.choice(
        [
            StartFlow(flow=flow),
            SetSlot(slot=slot, value=value, said=""),
            SetSlot(slot=slot, value=value, said=""),
            CorrectSlot(slot=slot, value=value, said=""),
            *[Confirm()] * 3,
            Deny(),
            Cancel(flow=chance.choice([None, flow])),
            Repeat(),
            Clarify(flows=tuple(chance.sample(FLOWS, 2)) if chance.random() < 0.5 else ()),
            KnowledgeQuestion(text="?"),
            ChitChat(intent=chance.choice(["abuse", "thanks", None])),
            HandOff() if chance.random() < 0.2 else CannotHandle(),
            CannotHandle(reason=chance.choice(["empty", "too_long", "out_of_scope"])),
        ]
    )


FITTING: Final = {
    "order_id": tuple(ORDERS),
    "reason": ("too_late", "changed_mind"),
    "email": ("a@b.example", "nobody@b.example"),
    "amount": (20.0, 500.0),
    "wrapped": (True, False),
    "seat": ("A1", "B2"),
    "again": (True, True, False),
}


def fitting(chance: random.Random, talk: Talk) -> Command:
    """What gets somewhere: an answer to the question on the table, a yes, or a wish."""
    waiting = talk.state.awaiting
    if waiting is None:
        return StartFlow(flow=chance.choice(FLOWS[:4]))
    if waiting.slot is None:
        return Confirm()
    return SetSlot(slot=waiting.slot, value=chance.choice(FITTING[waiting.slot]), said="")


class Watched(Talk):
    """Talks to tools that now and then fail in one way or another, and counts effects."""

    def __init__(self, book: FlowBook, chance: random.Random) -> None:
        super().__init__(book)
        self._chance = chance
        self.answers: list[OutcomeStatus] = []

    def _outcome(self, call: CallTool) -> Outcome:
        fails = self._chance.random() < 0.1
        found = Outcome(self._chance.choice(OUTCOMES), text="because") if fails else super()._outcome(call)
        self.answers.append(found.status)
        return found


def confirmed_calls(events: Sequence[Event]) -> list[tuple[str, dict[str, object]]]:
    """The calls that were agreed to and not taken back, each with the arguments that were asked about."""
    asked: dict[tuple[str, str], dict[str, object]] = {}
    agreed: list[tuple[str, dict[str, object]]] = []
    for event in events:
        if isinstance(event, ConfirmationAsked):
            asked[event.flow, event.tool] = dict(event.arguments)
        elif isinstance(event, ConfirmationAnswered) and event.answer == "confirmed":
            agreed.append((event.tool, asked[event.flow, event.tool]))
        elif isinstance(event, SlotSet):
            # A yes does not outlive a change of a value of its flow, unless the call was made in the same turn.
            asked = {key: value for key, value in asked.items() if key[0] != event.flow}
    return agreed


def test_no_commands_lead_to_an_effect_without_a_yes_or_against_a_rule() -> None:
    effects, book = 0, kiosk()
    for number in range(CONVERSATIONS):
        chance = random.Random(number)
        talk = Watched(book, chance)
        for _ in range(16):
            wild = chance.random() < 0.3
            commands = [any_command(chance) for _ in range(chance.randint(1, 3))] if wild else []
            talk.say(*(commands or [fitting(chance, talk)]))
            assert len(talk.state.stack) <= 8
            assert len(talk.state.queue) <= 5
        agreed = confirmed_calls(talk.events)
        for call, answer in zip(talk.calls, talk.answers, strict=True):
            if not book.has_effect(call.tool):
                continue
            effects += 1
            made = (call.tool, dict(call.arguments))
            assert made in agreed, f"conversation {number}: nobody agreed to {made}"
            if answer != "down":  # then the yes still holds, and the user was asked whether to try again
                agreed.remove(made)
            if call.tool == "cancel_order":
                assert ORDERS[str(call.arguments["order_id"])] != "shipped", f"conversation {number}"
            elif float(str(call.arguments["amount"])) > 100:
                assert call.reasons, f"conversation {number}: a large gift without a person"
    assert effects > CONVERSATIONS // 2, "the conversations hardly get anywhere, so they show little"
