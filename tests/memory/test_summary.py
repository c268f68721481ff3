"""A running summary takes over what was said, keeps what must not change, and stays short."""

from __future__ import annotations

from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.memory.summary import commits, extended, kept_verbatim, with_sentences
from agentkit.messages import Message, ToolCall, TrustLabel, assistant, tool_result, user
from agentkit.store.records import SummaryRecord

TALK = (
    user("Hello, I live in Leeds. Where is my order 1042?"),
    assistant("Order 1042 has been shipped and arrives on 27 November. Have a nice day."),
    user("Can I return it? It cost 35.50 EUR, invoice A-17/3."),
    assistant("Yes. We will refund €35.50 within 30 days."),
    user("write to ada@mail.example please"),
)


def test_facts_identifiers_amounts_dates_and_commitments_are_taken_over() -> None:
    summary = extended(None, TALK, 3)
    assert summary.through == 3
    assert summary.text.splitlines() == [
        "user: Hello, I live in Leeds.",
        "user: Where is my order 1042?",
        "bot: Order 1042 has been shipped and arrives on 27 November.",
        "user: It cost 35.50 EUR, invoice A-17/3.",
        "bot: We will refund €35.50 within 30 days.",
        "user: write to ada@mail.example please",
    ]


def test_results_of_calls_are_taken_over_where_they_say_something() -> None:
    call = ToolCall(id="c1", name="order_status", arguments={})
    good = tool_result(call, "Everything is fine.\norder 1042: shipped, 2 items")
    bad = tool_result(call, "it broke", status="failed")
    assert extended(None, [good, bad], 1).text.splitlines() == [
        "order_status: order 1042: shipped, 2 items",
        "order_status: failed",
    ]


def test_a_password_is_not_taken_over() -> None:
    assert (
        extended(None, [user("My password is hunter22. I live in Leeds.")], 1).text
        == "user: I live in Leeds."
    )


def test_it_grows_from_what_is_known() -> None:
    first = extended(None, TALK[:2], 1)
    assert extended(first, TALK[2:], 3) == extended(None, TALK, 3)


def test_plain_lines_go_first_then_the_words_around_what_is_kept() -> None:
    summary = extended(None, TALK, 3, most=150)
    assert "Leeds" not in summary.text
    assert "bot: We will refund €35.50 within 30 days." in summary.text
    for each in ("1042", "27 November", "35.50 EUR", "A-17/3", "ada@mail.example"):
        assert each in summary.text


def test_what_is_written_is_followed_by_what_it_lacks() -> None:
    summary = with_sentences(extended(None, TALK, 3), "Ada asked\nfor order 1042 and a refund of €35.50.")
    assert summary.text.splitlines()[0] == "Ada asked for order 1042 and a refund of €35.50."
    for each in ("27 November", "35.50 EUR", "A-17/3", "We will refund €35.50 within 30 days."):
        assert each in summary.text
    assert "Where is my order 1042?" not in summary.text


IDENTIFIERS = st.from_regex(
    r"[A-Z]{1,3}-[0-9]{3,6}|[1-9][0-9]{3,5}|[1-9][0-9]?[.][0-9]{2} EUR", fullmatch=True
)
SENTENCES = st.one_of(
    IDENTIFIERS.map(lambda it: f"My case is {it}."),
    IDENTIFIERS.map(lambda it: f"We will send {it} to you."),
    st.sampled_from(["Thank you very much.", "I like it here.", "It rains all day."]),
)
MESSAGES = st.builds(
    lambda who, sentences: (user if who else assistant)(" ".join(sentences)),
    st.booleans(),
    st.lists(SENTENCES, min_size=1, max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(MESSAGES, max_size=8))
def test_every_identifier_amount_and_commitment_is_kept_verbatim(messages: list[Message]) -> None:
    text = " ".join(part.text for message in messages for part in message.parts)
    summary = extended(None, messages, len(messages))
    assert [each for each in kept_verbatim(text) if each not in summary.text] == []
    said = [sentence + "." for sentence in text.rstrip(".").split(". ")]
    assert [each for each in said if commits(each) and each not in summary.text] == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(MESSAGES, max_size=5), max_size=8), st.integers(40, 600))
def test_it_never_grows_beyond_its_length(batches: list[list[Message]], most: int) -> None:
    summary: SummaryRecord | None = None
    for number, batch in enumerate(batches):
        summary = extended(summary, batch, number, most)
        assert len(summary.text) <= most
        assert with_sentences(summary, "It was said that 1042 is fine.", most).text.count("\n") < most


@given(st.lists(st.sampled_from(get_args(TrustLabel)), min_size=1, max_size=5))
def test_it_is_trusted_as_far_as_its_worst_source(labels: list[TrustLabel]) -> None:
    call = ToolCall(id="c", name="look", arguments={})
    order = get_args(TrustLabel)
    first, *rest = labels
    summary = extended(None, [tool_result(call, "x", trust=first)], 1)
    for number, label in enumerate(rest):
        summary = extended(summary, [tool_result(call, "x", trust=label)], 2 + number)
    assert summary.trust == max(labels, key=order.index)
