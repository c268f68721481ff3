"""The generator is asked only where rules and encoder are not sure, and can only choose among what was said."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agentkit.commands import Confirm, CorrectSlot, SetSlot
from agentkit.errors import ConstraintUnmet, ModelError
from agentkit.models.protocols import Finished, GenerationRequest, Generator
from agentkit.service.sketch import Awaiting
from agentkit.service.understanding import Situation
from agentkit.service.understanding.generation import without_each_other
from agentkit.service.understanding.phrases import cover
from agentkit.service.understanding.values import candidates_of
from agentkit.testing import RandomGenerator, Says, ScriptedGenerator
from tests.service.understanding.shop import (
    FLOWS,
    WEDNESDAY,
    asked,
    confirming,
    lines,
    said,
    understood,
    unsure,
    wants,
)


def asking(generator: Generator) -> Callable[[GenerationRequest], str]:
    def ask(request: GenerationRequest) -> str:
        return next(each.text for each in generator.generate(request) if isinstance(each, Finished))

    return ask


def test_where_the_encoder_is_not_sure_the_generator_takes_one_of_the_likely_flows() -> None:
    situation = said("my parcel, you know", unsure(("return_item", 0.3), ("track_order", 0.3)))
    with ScriptedGenerator(
        [Says("track_order", expect="- track_order: Say where an order is.")]
    ) as generator:
        found = understood(situation, asking(generator))
    assert [each.type for each in found.commands] == ["start_flow"]
    assert found.by == "generator"


def test_what_fits_nothing_cannot_be_handled() -> None:
    situation = said("my parcel, you know", unsure(("return_item", 0.3), ("track_order", 0.3)))
    with ScriptedGenerator([Says("none")]) as generator:
        assert lines(situation, asking(generator)) == ["cannot_handle"]


def test_a_question_where_a_free_text_was_asked_for_is_decided_by_the_generator() -> None:
    situation = asked("return_item", "reason", "does it matter?", order_id="1042", item="chair")
    with ScriptedGenerator([Says("question", expect="Asked: What is the reason?")]) as generator:
        assert lines(situation, asking(generator)) == ["knowledge_question"]
    with ScriptedGenerator([Says("answer")]) as generator:
        assert lines(situation, asking(generator)) == ['set_slot reason "does it matter?"']


@pytest.mark.parametrize("filling", [" ", ",", "\n"])
def test_a_long_run_of_blanks_or_commas_is_read_at_once(filling: str) -> None:
    text = f"Gal{filling * 1900}way"
    started = time.process_time()
    found = lines(asked("change_address", "city", text, order_id="1187", street="22 Hill Street"))
    assert found == [f"set_slot city {json.dumps(text)}"]
    places = {"street": (0, 34), "city": (33, 34)}
    assert without_each_other(f"a{filling * 31}b c", places)["city"] == (33, 34)
    assert time.process_time() - started < 2


def test_words_of_the_request_itself_are_no_free_text() -> None:
    situation = said("I need order 1187 sent to a different address", wants("change_address"))
    for copied in ("sent to a different address", "order 1187 sent", "order"):
        with ScriptedGenerator([Says(f'"{copied}"'), Says(f'"{copied}"')]) as generator:
            found = lines(situation, asking(generator))
        assert found == ["start_flow change_address", 'set_slot order_id "1187"']


def test_a_street_and_a_town_in_the_message_that_starts_their_flow_are_taken() -> None:
    situation = said("send order 1187 to 7 Quay Street in Galway", wants("change_address"))
    with ScriptedGenerator([Says('"7 Quay Street"'), Says('"Galway"')]) as generator:
        assert lines(situation, asking(generator)) == [
            "start_flow change_address",
            'set_slot street "7 Quay Street"',
            'set_slot city "Galway"',
            'set_slot order_id "1187"',
        ]


def test_a_free_text_that_is_taken_back_takes_the_place_of_the_one_that_it_resembles() -> None:
    def answered(text: str) -> list[str]:
        return lines(asked("change_address", "city", text, order_id="1187", street="22 Hill Street"))

    assert answered("sorry, 24 Hill Street") == ['correct_slot street "24 Hill Street"']
    assert answered("sorry, Galway") == ['set_slot city "Galway"']
    assert answered("No Mans Heath") == ['set_slot city "No Mans Heath"']


def test_a_free_text_is_copied_out_of_the_message_that_starts_its_flow() -> None:
    situation = said("I want to send back the chair from 1042, it wobbles", wants("return_item"))
    with ScriptedGenerator([Says('"it wobbles"', expect="Wanted: why it is sent back")]) as generator:
        assert lines(situation, asking(generator)) == [
            "start_flow return_item",
            'set_slot reason "it wobbles"',
            'set_slot item "chair"',
            'set_slot order_id "1042"',
        ]


def test_one_of_several_values_is_taken_by_the_generator() -> None:
    situation = asked("move_delivery", "day", "Saturday would do, Sunday is open too", order_id="1042")
    with ScriptedGenerator([Says("Sunday")]) as generator:
        assert lines(situation, asking(generator)) == ['set_slot day "2026-11-29"']


def test_a_yes_is_never_the_generators() -> None:
    situation = confirming("cancel_order", "that would make me happy", order_id="1042")
    with ScriptedGenerator([]) as generator:
        assert lines(situation, asking(generator)) == ["cannot_handle"]


def test_a_generator_that_fails_leaves_the_message_unclear() -> None:
    def failing(request: GenerationRequest) -> str:
        raise ConstraintUnmet("too few tokens", hint="")

    def broken(request: GenerationRequest) -> str:
        raise ModelError("the server is gone", hint="")

    situation = said("my parcel, you know", unsure(("return_item", 0.3), ("track_order", 0.3)))
    assert lines(situation, failing) == lines(situation, broken) == ["cannot_handle"]


def test_a_reply_that_was_cut_short_is_none() -> None:
    situation = said("my parcel, you know", unsure(("return_item", 0.3), ("track_order", 0.3)))
    assert lines(situation, lambda request: "track_or") == ["cannot_handle"]


PIECES = st.sampled_from(
    [
        "1042",
        "#1190",
        "10 42",
        "not 1042",
        "20 euros",
        "€5",
        "twelve",
        "tomorrow",
        "next Friday",
        "12/03",
        "the chair",
        "couch",
        "yes",
        "no",
        "please",
        "but",
        "sorry, I meant",
        "cancel",
        "where is my order",
        "and",
        "because it is broken",
        "two people",
        "?",
        "what do you mean",
        "I want to",
        "send it back",
        "\n",
        "🙃",
        '"',
        "{{ 7*7 }}",
        "none",
        "\\",
        "ß€",
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=9).map(" ".join) | st.text(max_size=80)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A message in any situation, with an encoder that thinks anything."""
    flow = draw(st.sampled_from(sorted(FLOWS)))
    slots = FLOWS[flow].slots
    filled: dict[str, JsonValue] = {
        name: "1042" for name in slots if name == "order_id" and draw(st.booleans())
    }
    slot = draw(st.sampled_from(sorted(slots)))
    waiting = draw(
        st.sampled_from(
            [
                None,
                Awaiting("slot", slots[slot].asked, flow, slot),
                Awaiting("confirmation", "Right?", flow),
                Awaiting("which_flow", "Which?", options=("cancel_order", "return_item")),
            ]
        )
    )
    intent = draw(st.sampled_from([*FLOWS, "hours", "greeting", "complaint"]))
    odds = draw(st.sampled_from([0.1, 0.3, 0.6, 0.95]))
    prediction = draw(st.sampled_from([wants(intent, odds), unsure((intent, odds), ("refund", odds / 2))]))
    active = flow if waiting is not None and waiting.flow else None
    return replace(
        said(draw(TEXTS), prediction),
        active=active,
        awaiting=waiting,
        filled=filled if active else {},
        classify=lambda texts: [prediction for _ in texts],
    )


@settings(max_examples=300)
@given(situation=situations(), seed=st.integers(0, 2**32))
def test_a_value_that_the_user_never_said_cannot_be_set_whatever_the_generator_writes(
    situation: Situation, seed: int
) -> None:
    commands = understood(situation, asking(RandomGenerator(seed))).commands
    assert commands
    for each in commands:
        if isinstance(each, (SetSlot, CorrectSlot)):
            assert each.said
            assert each.said in situation.text
            slot = next(flow.slots[each.slot] for flow in FLOWS.values() if each.slot in flow.slots)
            found = [one.value for one in candidates_of(slot, situation.text, WEDNESDAY)]
            if slot.type == "text" and not slot.pattern:
                found.append(each.said)
            elif slot.type == "boolean":
                found += [True, False]
            assert each.value in found
        if isinstance(each, Confirm):
            assert "confirm" in cover(situation.text).meanings or situation.active == "cancel_order"


def test_the_generator_can_write_nothing_but_words_of_the_message() -> None:
    text = 'take the "old" chair, order 1042, it\'s {{ broken }} \\ and wobbles'
    for seed in range(150):
        situation = said(text, wants("return_item"))
        for each in understood(situation, asking(RandomGenerator(seed))).commands:
            if isinstance(each, SetSlot) and each.slot == "reason":
                assert each.said in text
                assert each.value == each.said
                assert each.value != "1042"
