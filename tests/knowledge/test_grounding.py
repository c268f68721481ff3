"""A reply may say what its evidence says, in other words and forms, and nothing else."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.knowledge.grounding import resting_on, unsupported
from agentkit.knowledge.sentences import sentences

SHOP = [
    "Returns are accepted within 30 days. Pickup of items above 20 kg costs 19 EUR.",
    "Order 1042 was shipped with DHL and arrives on Thursday 26 November.",
    "The Saver ticket cannot be refunded or exchanged. The Flex ticket can be refunded until the day before.",
    '{"order": 3318, "weight_kg": 3.2, "expected": "2026-12-02", "courier": "GLS"}',
    "Write to help@shop.example, call 0800 555 0199 or see https://shop.example/returns.",
    "Flight XK 418 leaves at 14:30 from gate C12; a bag of 1,000 g is free. Error E-417 means no connection.",
]


@pytest.mark.parametrize(
    "reply",
    [
        "Order 1042 arrives on 26 November with DHL.",
        "You can return it within thirty days.",
        "Pickup costs €19.",
        "Pickup costs 19.00 euros.",
        "Order 3318 is expected on 2 December.",
        "Order 3318 is expected on December 2nd, 2026.",
        "Order 3318 weighs 3.2 kg (weight).",
        "Call 0800-555-0199.",
        "Flight XK418 leaves at 2:30 pm.",
        "A bag of 1000 g is free.",
        "A bag of one thousand grams is free.",
        "The Flex ticket can be refunded.",
        "The Saver ticket can't be exchanged.",
        "Sorry, the Saver ticket cannot be exchanged.",
        "See shop.example/returns or https://shop.example/returns/.",
        "Yes.",
        "",
    ],
)
def test_what_the_evidence_says_in_another_form_is_supported(reply: str) -> None:
    assert unsupported(reply, SHOP) == ()


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        ("Order 1042 was shipped to the warehouse in the United States.", "United"),
        ("Pickup costs 20 EUR.", "20 EUR"),
        ("Pickup costs 19 USD.", "19 USD"),
        ("Pickup costs 19 %.", "19 %"),
        ("Returns are accepted within 30 weeks.", "30 weeks"),
        ("Order 1042 arrives on 27 November.", "27 November"),
        ("Order 1042 arrives on 26 November 2026.", "26 November 2026"),
        ("Order 1042 arrives on Friday.", "Friday"),
        ("Order 1042 arrives on friday.", "friday"),
        ("Order 1043 was shipped with DHL.", "1043"),
        ("Order 1042 was shipped with UPS.", "UPS"),
        ("Anna shipped order 1042 with DHL.", "Anna"),
        ("Write to info@shop.example.", "info@shop.example"),
        ("See https://shop.example/refunds.", "https://shop.example/refunds"),
        ("Call 0800 555 0198.", "0800 555 0198"),
        ("Flight XK 418 leaves at 2:30 am.", "2:30 am"),
        ("Flight XK419 leaves from gate C12.", "XK419"),
        ("Error E-418 means no connection.", "E-418"),
        ("Returns are accepted within forty days.", "forty days"),
        ("The Saver ticket can be refunded or exchanged.", "The Saver ticket can be refunded or exchanged."),
        ("Returns are not accepted within 30 days.", "Returns are not accepted within 30 days."),
        ("The courier will phone beforehand and ring twice.", "phone"),
    ],
)
def test_what_the_evidence_does_not_say_is_named(reply: str, word: str) -> None:
    assert word in unsupported(reply, SHOP)


def test_one_sentence_may_not_mix_the_facts_of_two_passages() -> None:
    plans = ["Surf 20 costs 14.99 EUR a month.", "Surf 50 costs 24.99 EUR a month."]
    assert unsupported("Surf 20 costs 14.99 EUR. Surf 50 costs 24.99 EUR.", plans) == ()
    assert unsupported("Surf 20 costs 24.99 EUR.", plans) != ()


def test_the_words_of_the_user_support_details_but_not_a_whole_sentence() -> None:
    said = "I bought an oak table of 35 kg, what does pickup cost? And do you sell gift cards?"
    assert unsupported("Pickup of your oak table of 35 kg costs 19 EUR.", SHOP, said) == ()
    assert unsupported("Pickup of your oak table of 35 kg costs 19 EUR.", SHOP) != ()
    assert unsupported("Yes, we sell gift cards.", SHOP, said) != ()
    assert unsupported("We do not sell gift cards.", SHOP, said) != ()
    assert unsupported("Yes, we have the KX-200.", SHOP, "have you got the KX-200?") != ()


def test_without_evidence_nothing_can_be_stated() -> None:
    assert unsupported("It costs 19 EUR.", [], "what does it cost?") == ("19 EUR",)
    assert unsupported("Sorry, you would have to ask somebody.", []) != ()


def test_nothing_is_named_twice() -> None:
    assert unsupported("It costs 21 EUR. Really, it costs 21 EUR.", SHOP).count("21 EUR") == 1


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=100))
def test_any_text_can_be_checked(reply: str, evidence: str, said: str) -> None:
    assert isinstance(unsupported(reply, [evidence], said), tuple)


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4), st.data())
def test_a_quoted_sentence_is_always_supported(evidence: list[str], data: st.DataObject) -> None:
    quotable = [sentence for text in evidence for sentence in sentences(text)]
    if quotable:
        quote = data.draw(st.sampled_from(quotable))
        assert unsupported(quote, evidence) == ()


DIGITS = st.text(string.digits, min_size=1, max_size=4)
STATEMENTS = st.one_of(
    st.builds("The price is {} EUR.".format, st.integers(2, 99999)),
    st.builds("The price is €{:,.2f} per item.".format, st.floats(2, 99999)),
    st.builds("Order {} was shipped.".format, st.integers(1000, 999999)),
    st.builds(
        "Ticket {}-{} is open.".format, st.text("ABCDEFGH", min_size=1, max_size=3), st.integers(100, 99999)
    ),
    st.builds("It takes place on {} November {}.".format, st.integers(1, 30), st.integers(2000, 2099)),
    st.builds(
        "It takes place on 20{:02d}-{:02d}-{:02d}.".format,
        st.integers(0, 99),
        st.integers(1, 12),
        st.integers(1, 28),
    ),
    st.builds("Doors open at {:02d}:{:02d}.".format, st.integers(0, 23), st.integers(0, 59)),
    st.builds(
        "Call 0{:03d} {:03d} {:04d}.".format, st.integers(0, 999), st.integers(0, 999), st.integers(0, 9999)
    ),
    st.builds(
        "The guarantee lasts {} months and covers {} %.".format, st.integers(2, 99), st.integers(2, 99)
    ),
    st.builds("It measures {} x {} cm.".format, st.integers(2, 999), st.integers(2, 999)),
    st.builds("Version {}.{}.{} has gate C{}.".format, *[st.integers(0, 99)] * 3, st.integers(0, 99)),
)


@given(st.lists(STATEMENTS, min_size=1, max_size=1), st.data())
def test_a_changed_digit_is_always_noticed(evidence: list[str], data: st.DataObject) -> None:
    quote = data.draw(st.sampled_from(evidence))
    places = [place for place, character in enumerate(quote) if character in string.digits]
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from([d for d in string.digits if d != quote[place]]))
    changed = quote[:place] + digit + quote[place + 1 :]
    if set(_numbers(changed)) <= set(_numbers(quote)):
        return  # it has become another number of the same sentence
    assert unsupported(changed, evidence) != ()


def _numbers(text: str) -> list[str]:
    return ["".join(c for c in token if c.isalnum()).lstrip("0") for token in text.split()]


@pytest.mark.parametrize(
    "piece", ["x", "1", "0 ", "a.", "[", "a@", "19 EUR, ", "seven ", "Anna ", "1.1,", "don't "]
)
def test_a_very_long_text_is_checked_in_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    started = time.perf_counter()
    unsupported(text, [text], text)
    unsupported(text, SHOP)
    assert time.perf_counter() - started < 60


def test_a_reply_rests_on_the_texts_that_bear_it_out_and_on_no_other() -> None:
    reply = "Yes. A pickup costs 19 EUR above 20 kg. The shop opens at 9."
    evidence = [
        "The shop opens at 9.",
        "Anna sells lamps.",
        "A pickup costs 19 EUR above 20 kg.",
        "It is red.",
    ]
    assert unsupported(reply, evidence) == ()
    assert resting_on(reply, evidence) == (0, 2)
    assert resting_on("Yes.", evidence) == ()
    assert resting_on("A pickup costs 19 EUR.", [], "does a pickup cost 19 EUR?") == ()


@given(st.lists(STATEMENTS, min_size=1, max_size=5, unique=True), st.data())
def test_what_a_reply_rests_on_is_enough_to_bear_it_out(evidence: list[str], data: st.DataObject) -> None:
    said = data.draw(st.lists(st.sampled_from(evidence), min_size=1, max_size=3, unique=True))
    used = resting_on(" ".join(said), evidence)
    assert unsupported(" ".join(said), [evidence[index] for index in used]) == ()
    assert len(used) <= len(said)
