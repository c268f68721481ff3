"""From evidence to a reply: declined, quoted, or written and checked; never anything else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.events import AnswerabilityJudged, GenerationFinished, GroundingChecked
from agentkit.knowledge.answerability import Combination, Judge
from agentkit.knowledge.answering import Evidence, GroundedAnswer, Writing, answer_from_evidence
from agentkit.knowledge.grounding import unsupported
from agentkit.knowledge.passages import pieces, readable
from agentkit.knowledge.sentences import sentences
from agentkit.models.protocols import Generator
from agentkit.prompts import PromptLibrary
from agentkit.testing import HashingEncoder, Says, ScriptedGenerator

PROMPTS = PromptLibrary()
ENCODER = HashingEncoder()
SHOP = [
    Evidence("Returns are accepted within 30 days. Pickup costs 19 EUR.", "returns.md"),
    Evidence("We are closed on Mondays.", "hours.md"),
    Evidence(
        '{"order_id": 1042, "carrier": "DHL", "items": ["sofa", "lamp"], "note": null}', "tool:find_order"
    ),
]


def answer(
    question: str,
    evidence: list[Evidence],
    *,
    generator: Generator | None = None,
    writing: Writing = "quoted",
    answerable: bool = True,
    deadline: float | None = None,
) -> GroundedAnswer:
    return answer_from_evidence(
        question,
        evidence,
        generator=generator,
        encoder=ENCODER,
        judge=Judge(Combination(bias=9 if answerable else -9, weights={}, threshold=0.5)),
        prompts=PROMPTS,
        deadline=deadline,
        contact="call 0800 123",
        writing=writing,
    )


def test_an_answerable_question_is_answered_with_the_sentences_of_the_best_passage() -> None:
    reply = answer("What does pickup cost?", SHOP)
    assert reply.text == "Returns are accepted within 30 days. Pickup costs 19 EUR."
    assert reply.source == "quoted"
    assert reply.citations == ("returns.md",)
    assert not reply.declined
    (judged,) = reply.events
    assert isinstance(judged, AnswerabilityJudged)
    assert judged.answerable
    assert judged.probability == reply.probability > 0.9


def test_an_unanswerable_question_is_declined_and_a_person_is_offered() -> None:
    reply = answer("Do you sell gift cards?", SHOP, answerable=False)
    assert reply.declined
    assert reply.source == "declined"
    assert reply.citations == ()
    assert "call 0800 123" in reply.text


FAQ = [
    Evidence(
        "Yes, at the till. They are valid for *three* years.",
        "faq.csv#2",
        "Do you sell gift cards?",
        pair=True,
    ),
    Evidence("Within 30 days.", "faq.csv#3", "How long can I return an item?", pair=True),
]


def test_a_stored_question_that_is_asked_again_is_answered_word_for_word_without_a_judge() -> None:
    reply = answer("do you sell gift cards", [*SHOP, *FAQ], answerable=False)
    assert reply.text == "Yes, at the till. They are valid for *three* years."
    assert (reply.source, reply.citations, reply.declined) == ("quoted", ("faq.csv#2",), False)
    (judged,) = reply.events
    assert isinstance(judged, AnswerabilityJudged)
    assert (judged.judge, judged.answerable) == ("stored question", True)


def test_a_stored_question_that_is_only_similar_is_left_to_the_judge() -> None:
    assert answer("Do you sell shoes?", FAQ, answerable=False).declined
    assert answer(
        "Do you sell gift cards?", [Evidence("Yes.", "x.md", "Do you sell gift cards?")], answerable=False
    ).declined


def test_a_question_that_an_author_names_is_answered_by_the_passage_without_a_judge() -> None:
    asked = ("by when must it be back", "how long can I keep it")
    passage = Evidence(
        "You have **30 days**.\n\nThey start with the delivery.", "returns.md", "Returns", asked=asked
    )
    reply = answer("By when must it be back?", [*SHOP, passage], answerable=False)
    assert reply.text == "You have 30 days.\n\nThey start with the delivery."
    assert (reply.source, reply.citations) == ("quoted", ("returns.md",))
    assert answer("By when must I call you?", [*SHOP, passage], answerable=False).declined
    rival = Evidence("On Monday.", "rental.md", "Rental", asked=asked)
    assert answer("By when must it be back?", [passage, rival], answerable=False).declined


def test_of_two_stored_answers_to_the_same_question_none_is_given_for_sure() -> None:
    two = [FAQ[0], Evidence("No, sorry.", "old.csv#9", "Do you sell gift cards?", pair=True)]
    assert answer("Do you sell gift cards?", two, answerable=False).declined
    assert not answer("Do you sell gift cards?", [FAQ[0], FAQ[0]], answerable=False).declined


@pytest.mark.parametrize("evidence", [[], [Evidence("", "empty.md")], [Evidence(" \n#\n", "marks.md")]])
def test_without_anything_to_quote_a_question_is_declined(evidence: list[Evidence]) -> None:
    assert answer("What does pickup cost?", evidence).declined


def test_a_tool_result_in_json_is_quoted_as_names_and_values() -> None:
    reply = answer("Which carrier has order 1042, and which items?", SHOP)
    assert reply.text == "order id: 1042; carrier: DHL; items: sofa, lamp."
    assert reply.citations == ("tool:find_order",)


def test_a_long_passage_is_quoted_around_its_best_sentence() -> None:
    filler = [f"Paragraph {number} is about something else entirely." for number in range(9)]
    text = " ".join([*filler[:5], "Pickup of heavy items costs 19 EUR.", *filler[5:]])
    reply = answer("What does pickup of heavy items cost?", [Evidence(text, "long.md")])
    assert "Pickup of heavy items costs 19 EUR." in reply.text
    assert len(sentences(reply.text)) == 3


def test_a_text_beyond_all_limits_is_cut_into_pieces_and_still_answered() -> None:
    text = "Nothing to see here. " * 20_000 + "Pickup costs 19 EUR." + " Nothing at all." * 1000
    assert max(map(len, pieces(text))) <= 1300
    assert "19 EUR" in answer("What does pickup cost?", [Evidence(text, "huge.md")]).text
    assert "\n".join(pieces("x" * 10_000)).count("x") == 10_000


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": ', "{not json}", '{"a": NaN}', "[]", "null", "[[1, [2]]]"]
)
def test_text_that_only_looks_like_json_is_left_as_it_is_or_read(text: str) -> None:
    assert isinstance(readable(text), str)


def test_a_written_reply_is_sent_when_its_evidence_supports_it() -> None:
    with ScriptedGenerator([Says("Pickup costs you 19 EUR.", expect="What does pickup cost?")]) as generator:
        reply = answer("What does pickup cost?", SHOP, generator=generator, writing="generated")
    assert reply.text == "Pickup costs you 19 EUR."
    assert reply.source == "generated"
    assert reply.citations == ("returns.md",)
    kinds = [type(event) for event in reply.events]
    assert kinds == [AnswerabilityJudged, GenerationFinished, GroundingChecked]


def test_a_written_reply_with_an_invention_is_tried_once_more() -> None:
    steps = [Says("Pickup costs 29 EUR."), Says("Pickup costs 19 EUR.", expect="29 EUR")]
    with ScriptedGenerator(steps) as generator:
        reply = answer("What does pickup cost?", SHOP, generator=generator, writing="generated")
    assert reply.text == "Pickup costs 19 EUR."
    assert reply.source == "generated"


def test_after_two_inventions_the_evidence_is_quoted() -> None:
    with ScriptedGenerator([Says("It costs 29 EUR."), Says("Anna pays.")]) as generator:
        reply = answer("What does pickup cost?", SHOP, generator=generator, writing="generated")
    assert reply.source == "quoted"
    assert "19 EUR" in reply.text
    checks = [event for event in reply.events if isinstance(event, GroundingChecked)]
    assert [check.supported for check in checks] == [False, False]
    assert "29 EUR" in checks[0].unsupported


def test_a_reply_that_the_deadline_cut_is_not_sent() -> None:
    with ScriptedGenerator([Says("Pickup costs 19 EUR.")]) as generator:
        reply = answer(
            "What does pickup cost?",
            SHOP,
            generator=generator,
            writing="generated",
            deadline=time.monotonic(),
        )
    assert reply.source == "quoted"


def test_nothing_is_written_by_a_generator_unless_asked_for() -> None:
    with ScriptedGenerator([]) as generator:
        assert answer("What does pickup cost?", SHOP, generator=generator).source == "quoted"
    assert answer("What does pickup cost?", SHOP, writing="generated").source == "quoted"


@given(st.lists(st.text(max_size=400), max_size=4), st.text(min_size=1, max_size=60))
def test_whatever_is_quoted_is_supported_by_its_evidence(texts: list[str], question: str) -> None:
    reply = answer(question, [Evidence(text, "file") for text in texts])
    assert reply.declined or unsupported(reply.text, [readable(text) for text in texts]) == ()


@given(
    st.lists(
        st.sampled_from([*(e.text for e in SHOP), "Dr. A. Lund costs 5 g. It is", "# Title\n- one\n- two g."])
    )
)
def test_whatever_is_quoted_from_prose_is_supported_too(texts: list[str]) -> None:
    reply = answer("What does pickup cost?", [Evidence(text, "file") for text in texts])
    assert reply.declined or unsupported(reply.text, [readable(text) for text in texts]) == ()
