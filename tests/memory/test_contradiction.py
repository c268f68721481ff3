"""Which facts are about the same thing, and which deny each other."""

from __future__ import annotations

import pytest

from agentkit.memory.contradiction import at_odds, subject_of


@pytest.mark.parametrize(
    ("fact", "subject"),
    [
        ("I live in Leeds", "home"),
        ("We moved to York last week", "home"),
        ("I'm now living in Porto", "home"),
        ("I live on the third floor without a lift", ""),
        ("please call me Ms. Okafor", "name"),
        ("My name is Ada", "name"),
        ("I work at the harbour", "employer"),
        ("I work as a nurse", "job"),
        ("I am 41 years old.", "age"),
        ("I prefer to be called after five", "contact"),
        ("I'd rather be contacted by e-mail", "contact"),
        ("My shoe size is 39", "shoe size"),
        ("my new phone number is 555-0101", "phone number"),
        ("my address is 5 Mill Road", "home"),
        ("my e-mail address is a@b.example", "e-mail address"),
        ("My favourite colour is green", "favourite colour"),
        ("My sofa is grey", ""),
        ("My order is 1042", ""),
        ("I have two cats", ""),
    ],
)
def test_what_has_one_value_at_a_time_is_named(fact: str, subject: str) -> None:
    assert subject_of(fact) == subject


@pytest.mark.parametrize(
    ("fact", "other", "expected"),
    [
        ("I don't have a car any more", "I have a car", True),
        ("I no longer eat meat", "I eat meat", True),
        ("I'm not vegetarian", "I am vegetarian", True),
        ("We have three cats now", "we have two cats", True),
        ("we have 3 cats", "we have two cats", True),
        ("I have a car", "I have a car", False),
        ("I have a red car", "I have a blue car", False),
        ("my order is 1043", "my order is 1042", False),
        ("I asked about order 12", "I asked about order 13", False),
        ("we have two cats", "we have two dogs", False),
        ("", "", False),
    ],
)
def test_a_denial_and_another_count_are_contradictions(fact: str, other: str, expected: bool) -> None:
    assert at_odds(fact, other) is expected
    assert at_odds(other, fact) is expected
