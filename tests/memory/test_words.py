"""How much of a query each text says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.memory.words import WordIndex, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("painting", "painted"),
        ("paintings", "paint"),
        ("stories", "story"),
        ("running", "runs"),
        ("allergies", "allergy"),
        ("houses", "house"),
        ("boxes", "boxed"),
    ],
)
def test_forms_of_a_word_meet(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("sofa", "soft"), ("bus", "bu"), ("sing", "s"), ("1042", "1043")])
def test_different_words_stay_apart(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_a_text_that_says_more_of_the_query_scores_higher() -> None:
    index = WordIndex()
    index.add(["the grey sofa by the window", "a grey cat", "the cat sleeps", "nothing of the kind"])
    both, one, _, none = index.coverage("Which sofa is grey?").tolist()
    assert 1 >= both > one > none == 0


def test_empty_words_and_unknown_words_find_nothing() -> None:
    index = WordIndex()
    assert index.coverage("sofa").tolist() == []
    index.add(["the grey sofa"])
    assert index.coverage("what is it?").tolist() == [0]
    assert index.coverage("piano").tolist() == [0]
    assert index.coverage("").tolist() == [0]


def test_a_number_is_a_word() -> None:
    index = WordIndex()
    index.add(["order 1042 is late", "order 1043 is late"])
    first, second = index.coverage("1043").tolist()
    assert first == 0 < second


@given(st.lists(st.text(max_size=60), max_size=12), st.text(max_size=60))
def test_any_text_can_be_added_and_asked_for(texts: list[str], query: str) -> None:
    index = WordIndex()
    index.add(texts)
    found = index.coverage(query)
    assert found.shape == (len(texts),)
    assert all(0 <= score <= 1 for score in found.tolist())
