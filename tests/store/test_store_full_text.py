"""Whatever a user writes is words to look for, and never the syntax of a query."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.store.driver import sqlite3
from agentkit.store.full_text import MOST_TERMS, TOKENIZER, match_any, search_terms, searchable

MAKE = f"CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = '{TOKENIZER}')"
FIND = "SELECT rowid FROM words WHERE words MATCH ?"
ADD = "INSERT INTO words (text) VALUES (?)"
OPERATORS = [
    'gift" OR text:secret',
    "NEAR(gift card, 2)",
    "gift AND NOT card",
    "gift*",
    "^gift",
    "text : gift",
    "- gift",
    '"gift',
    "{text} : gift",
    "gift + card",
    "(((gift",
    "gift'); DROP TABLE words; --",
    "gift\0card",
]


class Words:
    """A full-text table in memory."""

    def __init__(self, *texts: str) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute(MAKE)
        self.connection.executemany(ADD, [(searchable(text),) for text in texts])

    def find(self, text: str) -> list[int]:
        terms = search_terms(text)
        return [row[0] for row in self.connection.execute(FIND, (match_any(terms),))] if terms else []


@pytest.fixture(scope="module")
def words() -> Iterator[Words]:
    table = Words("We sell gift cards.", "Delivery takes three days.", "Ein Café in Köln", "我们出售礼品卡")
    with closing(table.connection):
        yield table


@pytest.mark.parametrize("message", OPERATORS)
def test_an_operator_is_a_word_like_any_other(words: Words, message: str) -> None:
    assert words.find(message) == [1]


@given(st.text())
def test_no_text_is_a_syntax_error(words: Words, text: str) -> None:
    words.find(text)


@given(
    st.lists(st.text("abcdeßéèñжщяωλ0123456789例子漢字かな", min_size=1, max_size=8), min_size=1, max_size=5)
)
def test_a_text_finds_itself(pieces: list[str]) -> None:
    text = " xyzzy ".join(pieces)
    with closing((table := Words(text)).connection):
        assert table.find(text) == ([1] if search_terms(text) else [])


def test_endings_case_and_accents_do_not_matter(words: Words) -> None:
    assert words.find("DELIVERIES") == [2]
    assert words.find("cafe") == [3]
    assert words.find("Ko\u0308ln") == [3]  # the umlaut as a character of its own


def test_a_word_is_found_inside_a_script_without_spaces(words: Words) -> None:
    assert search_terms("礼品卡") == ("礼品", "品卡")
    assert words.find("礼品") == [4]
    assert words.find("售出") == []  # both characters are there, in another order


def test_words_that_every_text_holds_are_left_out() -> None:
    assert search_terms("Where is the gift card that I was given?") == ("gift", "card", "given")
    assert search_terms("what is it?!") == ()


def test_a_text_without_words_has_no_terms() -> None:
    assert search_terms("🎁🎁 ?! \u200d") == ()
    assert search_terms("") == ()


def test_a_term_is_there_once_and_there_are_not_too_many() -> None:
    assert search_terms("Gift gift GIFT") == ("gift",)
    assert len(search_terms(" ".join(f"word{number}" for number in range(1000)))) == MOST_TERMS
    assert search_terms("one1 two2 three3", most=2) == ("one1", "two2")


@pytest.mark.parametrize("terms", [(), ('gift" OR "card',), ("gift card",), ("",)])
def test_only_words_become_a_query(terms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"search"):
        match_any(terms)
