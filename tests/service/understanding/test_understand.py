"""Messages become commands by their words and by the encoder, in the light of what the bot asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from agentkit.commands import CannotHandle, ChitChat, Clarify, KnowledgeQuestion, SetSlot
from agentkit.intents import Prediction
from agentkit.service.sketch import Awaiting
from tests.service.understanding.shop import (
    NOTHING,
    asked,
    confirming,
    lines,
    said,
    understood,
    unsure,
    wants,
)


def test_an_intent_starts_its_flow_with_the_values_of_the_message() -> None:
    found = understood(said("Please move 1042 to next Friday", wants("move_delivery")))
    assert found.by == "encoder"
    assert [each.model_dump() for each in found.commands] == [
        {"type": "start_flow", "flow": "move_delivery"},
        {"type": "set_slot", "slot": "order_id", "value": "1042", "said": "1042"},
        {"type": "set_slot", "slot": "day", "value": "2026-12-04", "said": "next Friday"},
    ]


def test_two_values_side_by_side_are_two_processes() -> None:
    assert lines(said("cancel 1042 and 1190", wants("cancel_order"))) == [
        "start_flow cancel_order",
        'set_slot order_id "1042"',
        "start_flow cancel_order",
        'set_slot order_id "1190"',
    ]


def test_several_requests_are_told_apart_by_their_clauses() -> None:
    clauses = {
        "Cancel 1042": wants("cancel_order"),
        "tell me where 1190 is.": wants("track_order"),
        "when are you open?": wants("hours"),
    }

    def classify(texts: Sequence[str]) -> Sequence[Prediction]:
        return [clauses.get(text.strip(), NOTHING) for text in texts]

    situation = said("Cancel 1042 and tell me where 1190 is. when are you open?", wants("cancel_order"))
    assert lines(replace(situation, classify=classify)) == [
        "start_flow cancel_order",
        'set_slot order_id "1042"',
        "start_flow track_order",
        'set_slot order_id "1190"',
        "knowledge_question",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1042", ['set_slot order_id "1042"']),
        ("it's #1042, please", ['set_slot order_id "1042"']),
        ("not 1042 but 1190", ['set_slot order_id "1190"']),
        ("never mind", ["cancel"]),
        ("what do you mean?", ["clarify"]),
        ("sorry?", ["clarify"]),
        ("?", ["clarify"]),
        ("say that again", ["repeat"]),
        ("I want to talk to a human", ["hand_off"]),
        ("I don't know", ["cannot_handle"]),
        ("you idiot", ["chit_chat"]),
        ("👍", ["cannot_handle"]),
        ("yes", ["cannot_handle"]),
    ],
)
def test_the_answer_to_a_question_for_an_order_number(text: str, expected: list[str]) -> None:
    found = understood(asked("track_order", "order_id", text))
    assert lines(asked("track_order", "order_id", text)) == expected
    assert found.by == "rules"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", ["confirm"]),
        ("Yesss, go ahead", ["confirm"]),
        ("yes, cancel it", ["confirm"]),
        ("👍", ["confirm"]),
        ("no", ["deny"]),
        ("don't cancel it", ["deny"]),
        ("leave it as it is", ["deny"]),
        ("no, 1190", ['correct_slot order_id "1190"']),
        ("yes but 1190", ['correct_slot order_id "1190"']),
        ("sorry, I meant 1190", ['correct_slot order_id "1190"']),
        ("1042", ["cannot_handle"]),
        ("yes and no", ["cannot_handle"]),
        ("yes, but only if my neighbour agrees", ["cannot_handle"]),
        ("yes if it is free", ["cannot_handle"]),
        ("let me think about it", ["cannot_handle"]),
        ("absolutely not", ["deny"]),
        ("don't do it", ["deny"]),
        ("no that's right", ["deny"]),
        ("is that right?", ["cannot_handle"]),
        ("can you do that?", ["cannot_handle"]),
        ("yes wait", ["cannot_handle"]),
        ("why not", ["confirm"]),
        ("no problem, go ahead", ["confirm"]),
        ("great, another problem", ["cannot_handle"]),
    ],
)
def test_only_a_plain_yes_confirms(text: str, expected: list[str]) -> None:
    assert lines(confirming("cancel_order", text, order_id="1042")) == expected


def test_a_yes_answers_a_question_for_yes_or_no() -> None:
    assert lines(asked("book_workshop", "gift_wrap", "yes please")) == ["set_slot gift_wrap true"]
    assert lines(asked("book_workshop", "gift_wrap", "no gift wrap")) == ["set_slot gift_wrap false"]


def test_a_later_value_corrects_an_earlier_one() -> None:
    situation = asked("move_delivery", "day", "wrong number, it's 2045", order_id="1042")
    assert lines(situation) == ['correct_slot order_id "2045"']
    situation = confirming("move_delivery", "make it Friday instead", order_id="1042", day="2026-12-01")
    assert lines(situation) == ['correct_slot day "2026-11-27"']


def test_several_values_of_one_answer_fill_their_slots() -> None:
    situation = asked("book_workshop", "arrival", "from 3 to 5 December, 4 people")
    assert lines(situation) == [
        'set_slot arrival "2026-12-03"',
        'set_slot departure "2026-12-05"',
        "set_slot guests 4",
    ]
    situation = asked(
        "book_workshop", "guests", "we leave on the 7th", arrival="2026-12-03", departure="2026-12-05"
    )
    assert lines(situation) == ['correct_slot departure "2026-12-07"']


def test_an_answer_to_another_question_goes_where_it_belongs() -> None:
    assert lines(asked("refund", "order_id", "20 euros")) == ["set_slot amount 20.0"]


def test_a_free_text_is_the_message_without_what_leads_to_it() -> None:
    situation = asked("return_item", "reason", "It's the wrong size, thanks", order_id="1042", item="chair")
    assert understood(situation).commands == (
        SetSlot(slot="reason", value="the wrong size", said="the wrong size"),
    )


def test_a_question_in_the_middle_of_a_flow_goes_to_the_knowledge() -> None:
    situation = asked("track_order", "order_id", "when are you open?", wants("hours"))
    assert understood(situation).commands == (KnowledgeQuestion(text="when are you open?"),)


def test_a_value_in_a_statement_is_an_answer_whatever_the_encoder_reads_into_it() -> None:
    assert lines(asked("move_delivery", "day", "Friday at opening time", wants("hours"))) == [
        'set_slot day "2026-11-27"'
    ]


def test_another_wish_interrupts_a_question() -> None:
    situation = asked("cancel_order", "order_id", "where is order 2045?", wants("track_order"))
    assert lines(situation) == ["start_flow track_order", 'set_slot order_id "2045"']


def test_two_equally_likely_flows_are_asked_about() -> None:
    ranking = (("cancel_order", 0.45), ("return_item", 0.4))
    found = understood(said("I don't want it any more", Prediction("cancel_order", 0.45, ranking, 0.9)))
    assert found.commands == (Clarify(flows=("cancel_order", "return_item")),)


def test_the_values_of_a_message_decide_between_flows_that_are_unlikely() -> None:
    situation = said(
        "Could you get 8120 to me on the 18th?", unsure(("track_order", 0.2), ("move_delivery", 0.1))
    )
    assert lines(situation)[0] == "start_flow move_delivery"


@pytest.mark.parametrize(
    ("text", "flow"),
    [
        ("the second one", "return_item"),
        ("1", "cancel_order"),
        ("send it back", "return_item"),
        ("cancel", "cancel_order"),
    ],
)
def test_which_flow_is_meant_is_answered_by_place_or_words(text: str, flow: str) -> None:
    waiting = Awaiting("which_flow", "Which?", options=("cancel_order", "return_item"))
    assert lines(replace(said(text), awaiting=waiting)) == [f"start_flow {flow}"]


def test_neither_of_the_offered_flows_is_a_no() -> None:
    waiting = Awaiting("which_flow", "Which?", options=("cancel_order", "return_item"))
    assert lines(replace(said("never mind"), awaiting=waiting)) == ["cancel"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("?", "unclear"),
        ("!!!", "unclear"),
        ("🙃", "unclear"),
        ("a" * 10_000, "too_long"),
        ("1042 " * 2_000, "too_long"),
    ],
)
def test_what_says_nothing_and_what_says_too_much_is_not_understood(text: str, reason: str) -> None:
    found = understood(said(text))
    assert found.commands == (CannotHandle.model_validate({"reason": reason}),)
    assert found.by == "rules"


def test_a_question_about_none_of_the_subjects_is_out_of_scope() -> None:
    assert understood(said("what is the capital of Peru?")).commands == (CannotHandle(reason="out_of_scope"),)


def test_a_greeting_before_a_wish_is_not_answered() -> None:
    def classify(texts: Sequence[str]) -> Sequence[Prediction]:
        return [wants("greeting") if "Hello" in text else wants("track_order") for text in texts]

    situation = replace(said("Hello! Where is 1042?", wants("track_order")), classify=classify)
    assert lines(situation) == ["start_flow track_order", 'set_slot order_id "1042"']
    assert understood(said("hello", wants("greeting"))).commands == (ChitChat(intent="greeting"),)


def test_an_answer_behind_another_wish_still_belongs_to_the_active_flow() -> None:
    clauses = {"When are you open?": wants("hours"), "my number is 1042.": NOTHING}

    def classify(texts: Sequence[str]) -> Sequence[Prediction]:
        return [clauses.get(text, NOTHING) for text in texts]

    situation = asked("track_order", "order_id", "When are you open? my number is 1042.", NOTHING)
    assert lines(replace(situation, classify=classify)) == ['set_slot order_id "1042"', "knowledge_question"]


def test_a_yes_and_a_no_to_nothing_are_what_they_are() -> None:
    assert lines(said("yes")) == ["confirm"]
    assert lines(said("no, thanks")) == ["deny"]
    assert lines(said("yes, my parcel")) == ["cannot_handle"]
