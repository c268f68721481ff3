"""Events are a closed union of values that survive storage."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentkit.events import Event, Replied, TurnFinished, load_event
from agentkit.events.base import EventValue
from tests.value_strategies import values_of

CLASSES = get_args(get_args(Event)[0])


@given(st.one_of(*map(values_of, CLASSES)))
def test_an_event_is_the_same_after_storage(event: Event) -> None:
    assert load_event(event.model_dump_json()) == event


def test_every_event_class_belongs_to_the_union() -> None:
    assert set(EventValue.__subclasses__()) == set(CLASSES)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_type_of_an_event_is_its_class_name_in_snake_case(cls: type[Event]) -> None:
    assert cls.model_fields["type"].default == re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


def test_an_event_reports_its_time() -> None:
    assert TurnFinished(turn_id="t1").milliseconds == 0
    assert load_event(TurnFinished(turn_id="t1", milliseconds=12.5).model_dump_json()).milliseconds == 12.5


@pytest.mark.parametrize(
    "text",
    [
        "null",
        '{"type": "unheard_of"}',
        '{"turn_id": "t1"}',
        '{"type": "turn_finished"}',
        '{"type": "turn_finished", "turn_id": "t1", "more": 1}',
    ],
)
def test_anything_that_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        load_event(text)


def test_an_event_cannot_be_changed() -> None:
    reply = Replied(text="It is on its way.", source="quoted")
    with pytest.raises(ValidationError, match="frozen"):
        reply.text = "It is lost."
