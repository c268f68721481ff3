"""What becomes a memory: whole messages that say something, and each statement in them."""

from __future__ import annotations

import time

import numpy
import pytest

from agentkit.memory import memories_of, statements, worth_remembering
from agentkit.messages import Part, User, user
from tests.memory.words import WordEncoder


@pytest.mark.parametrize(
    "text",
    [
        "my sofa is the grey one",
        "I live on the third floor without a lift",
        "please call me Ms. Okafor",
        "Call me Al, everybody does",
        "I'm allergic to wool",
        "I’m vegetarian",
        "We have two cats and a baby",
        "I don't eat meat",
        "I cannot climb stairs",
        "my name's Tunde",
        "My favourite colour is green.",
        "I prefer to be contacted by email",
        "my wife uses a wheelchair",
        "I bought the oak table two weeks ago",
        "my order 1042 has not arrived",
        "My parcel was damaged when it arrived",
        "There's no lift in our building",
        "Please remember that the doorbell is broken",
        "I really really love oak",
        "we're moving to Bristol in March",
    ],
)
def test_a_sentence_about_the_user_is_a_statement(text: str) -> None:
    assert statements(text) == (text.replace("’", "'"),)


@pytest.mark.parametrize(
    "text",
    [
        "Where is my order?",
        "where is my order",
        "is my sofa the grey one",
        "Do you deliver to Wales?",
        "Could you call me Ms. Okafor?",
        "I want to return my sofa",
        "I'd like to return it",
        "I am looking for a sofa",
        "I have a quick question about delivery",
        "I think my sofa is broken",
        "I'm so sorry about that",
        "We are waiting since Monday",
        "Cancel my order, my address is wrong",
        "Tell me about my order",
        "please call me back tomorrow",
        "If I return it, do I pay?",
        "hello there",
        "thanks, that's all",
        "you are the best shop in town",
        "1042",
        "",
    ],
)
def test_questions_commands_wishes_and_small_talk_are_no_statements(text: str) -> None:
    assert statements(text) == ()


def test_a_statement_stands_without_greeting_and_question() -> None:
    text = "Hi, I'm allergic to wool. Where is my order?\nI live on the third floor, can you still deliver?"
    assert statements(text) == ("I'm allergic to wool.", "I live on the third floor")


def test_a_statement_is_taken_once() -> None:
    assert statements("I live in Leeds. I live in Leeds.") == ("I live in Leeds.",)


@pytest.mark.parametrize(
    "text",
    [
        "my password is hunter2",
        "My PIN is 1234, please note it",
        "my card number is 4111 1111 1111 1111",
        "I paid with 4111-1111-1111-1111 last week",
    ],
)
def test_a_secret_is_not_remembered(text: str) -> None:
    assert statements(text) == ()
    assert not worth_remembering(text)
    assert memories_of(user(text), WordEncoder()) == ()


def test_a_long_number_that_is_no_card_is_no_secret() -> None:
    assert worth_remembering("my parcel number is 1234567890123456")


@pytest.mark.parametrize(
    "text", ["hello there", "thank you very much!", "yes please", "ok", "1042", "", "?!"]
)
def test_small_talk_is_not_worth_remembering(text: str) -> None:
    assert not worth_remembering(text)


def test_a_message_and_its_facts_are_remembered() -> None:
    encoder = WordEncoder()
    text = "Where is my order? I live on the third floor."
    whole, fact = memories_of(user(text), encoder)
    assert (whole.kind, whole.text, whole.trust, whole.encoder_id) == ("message", text, "user", "words")
    assert (fact.kind, fact.text, fact.trust) == ("fact", "I live on the third floor.", "user")
    assert whole.importance < fact.importance
    assert whole.vector is not None
    assert fact.vector is not None
    numpy.testing.assert_array_equal(whole.vector, encoder.encode([text])[0])
    numpy.testing.assert_array_equal(fact.vector, encoder.encode([fact.text])[0])


def test_the_vector_of_the_message_is_not_computed_again() -> None:
    encoder = WordEncoder()
    vector = encoder.encode(["Where is my order?"])[0]
    [whole] = memories_of(user("Where is my order?"), encoder, vector)
    assert whole.vector is vector
    assert encoder.encoded == 1


def test_a_message_that_is_one_fact_is_embedded_once() -> None:
    encoder = WordEncoder()
    vector = encoder.encode(["I live on the third floor"])[0]
    _, fact = memories_of(user("I live on the third floor"), encoder, vector)
    assert (fact.kind, fact.text) == ("fact", "I live on the third floor")
    assert fact.vector is vector
    assert encoder.encoded == 1


def test_memories_inherit_the_worst_trust_of_the_message() -> None:
    message = User(parts=(Part(text="I live in Leeds", trust="user"), Part(text="quoted", trust="untrusted")))
    assert {memory.trust for memory in memories_of(message, WordEncoder())} == {"untrusted"}


def test_a_long_message_is_cut() -> None:
    [whole] = memories_of(user("where is it " * 1000), WordEncoder())
    assert len(whole.text) == 2000


@pytest.mark.parametrize(
    "text",
    [
        "really " * 100_000,
        "I " + "oddly " * 100_000 + "x",
        "my " + "a-b " * 100_000,
        "hi " * 100_000,
        "?" * 500_000,
        "1 " * 200_000,
        "there is " * 100_000,
        ", and " * 100_000,
        "\n" * 500_000,
    ],
    ids=lambda text: text[:10],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.perf_counter()
    statements(text)
    worth_remembering(text)
    assert time.perf_counter() - started < 2
