"""A store with a week of conversations of a shop, every figure of which can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agentkit.commands import CannotHandle
from agentkit.events import (
    CommandsUnderstood,
    Declined,
    Event,
    FlowEnded,
    FlowStarted,
    GenerationFinished,
    HandedOff,
    IntentRecognised,
    PersonAnswered,
    PolicyRefused,
    Replied,
    SlotAsked,
    SlotRefused,
    SlotSet,
    TurnFinished,
)
from agentkit.messages import assistant, user
from agentkit.store.hand_off_records import Callback, HandOffChange, NewHandOff
from agentkit.store.protocol import Store, UserStore
from agentkit.store.sqlite_store import SqliteStore

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)


def said(
    store: UserStore,
    conversation: str,
    text: str,
    events: Sequence[Event] = (),
    *,
    milliseconds: float = 20.0,
    hand_off: HandOffChange | None = None,
) -> str:
    """A committed turn with these events; returns its id."""
    turn = store.begin_turn(conversation, user(text))
    finished = TurnFinished(turn_id=turn.id, milliseconds=milliseconds)
    store.commit_turn(
        turn.id,
        reply=assistant("Yes."),
        events=[*events, Replied(text="Yes.", source="template"), finished],
        memories=(),
        status="done",
        hand_off=hand_off,
    )
    return turn.id


def a_week(folder: Path) -> tuple[SqliteStore, Clock]:
    """The store, and its clock: it is Thursday."""
    clock = Clock()
    store = SqliteStore.open(folder / "agentkit.db", clock=clock)
    _ada(store, clock)
    _ben(store, clock)
    _cleo(store, clock)
    return store, clock


def _ada(store: Store, clock: Clock) -> None:
    """Monday: cancels an order; the number is asked for twice, and one is refused."""
    ada = store.for_user("default", "ada")
    conversation = ada.new_conversation()
    flow = "cancel_order"
    wants: list[Event] = [IntentRecognised(intent="cancel_order", probability=0.9), FlowStarted(flow=flow)]
    said(ada, conversation, "cancel it", [*wants, SlotAsked(flow=flow, slot="order_id")])
    refused = SlotRefused(flow=flow, slot="order_id", value="9999", reason="no such order")
    said(ada, conversation, "9999", [refused, SlotAsked(flow=flow, slot="order_id", attempt=2)])
    said(ada, conversation, "1042", [SlotSet(flow=flow, slot="order_id", value="1042")])
    corrected = SlotSet(flow=flow, slot="order_id", value="1043", corrected=True)
    said(
        ada, conversation, "no, 1043", [corrected, PolicyRefused(flow=flow, policy="too_late", tool="cancel")]
    )
    said(ada, conversation, "fine", [FlowEnded(flow=flow, outcome="refused")])
    clock.pass_by(days=1)


def _ben(store: Store, clock: Clock) -> None:
    """Tuesday: two questions that are not answered, then a person, who answers after ten minutes."""
    ben = store.for_user("default", "ben")
    conversation = ben.new_conversation()
    unknown = IntentRecognised(intent=None, probability=0.2)
    written = GenerationFinished(text="…", finish="stop")
    said(ben, conversation, "do you sell gift cards", [unknown, Declined(reason="no_evidence")])
    said(
        ben,
        conversation,
        "do you sell gift cards please",
        [unknown, written, Declined(reason="not_answered")],
        milliseconds=2_000,
    )
    person: list[Event] = [IntentRecognised(intent="person", probability=0.99), HandedOff(reason="person")]
    turn = said(ben, conversation, "a person", person, hand_off=NewHandOff(id="bens", reason="person"))
    taken = ben.take_hand_off("bens", by="Anna", seconds=3_600)
    ben.accept(conversation, user("hello?"))
    clock.pass_by(minutes=10)
    claim = ben.claim_for_person(taken.id, taken.fence, 60)
    assert claim is not None
    assert claim.turn.turn.id != turn
    ben.under(claim.lease).commit_turn(
        claim.turn.turn.id,
        reply=assistant("Hello.", by="Anna"),
        events=[PersonAnswered(hand_off_id="bens", person="Anna"), TurnFinished(turn_id=claim.turn.turn.id)],
        memories=(),
        status="done",
    )
    clock.pass_by(days=2)


def _cleo(store: Store, clock: Clock) -> None:
    """Thursday: nonsense, then a person at night, who is to call."""
    cleo = store.for_user("default", "cleo")
    conversation = cleo.new_conversation()
    nonsense = CommandsUnderstood(commands=(CannotHandle(),), by="rules")
    said(cleo, conversation, "blah <script>alert(1)</script>", [nonsense])
    person: list[Event] = [IntentRecognised(intent="person", probability=0.99), HandedOff(reason="person")]
    said(
        cleo, conversation, "a person", person, hand_off=NewHandOff(id="cleos", reason="person", holds=False)
    )
    said(
        cleo,
        conversation,
        "0151 2345678, after five",
        hand_off=Callback(phone="0151 2345678", when="after five"),
    )
