"""Values are read from the words of a user: numbers, amounts, days, codes, choices, and where they stand."""

from __future__ import annotations

from datetime import date

import pytest

from agentkit.service.sketch import SlotSketch
from agentkit.service.understanding.dates import named_days
from agentkit.service.understanding.numerals import numerals_of
from agentkit.service.understanding.repairs import meant
from agentkit.service.understanding.values import candidates_of, piece
from agentkit.service.understanding.words import is_misspelt, slips
from tests.service.understanding.shop import AMOUNT, DAY, GIFT, ITEM, ORDER, WEDNESDAY

BOOKING = SlotSketch("booking", pattern=r"[A-Z]{2}\d{3}")
ROOM = SlotSketch("booking", pattern=r"H-\d{5}")


def read(slot: SlotSketch, text: str) -> list[tuple[object, str]]:
    return [(each.value, piece(text, each)) for each in candidates_of(slot, text, WEDNESDAY)]


@pytest.mark.parametrize(
    ("text", "value", "piece_of_it"),
    [
        ("1042", "1042", "1042"),
        ("it's #1042.", "1042", "1042"),
        ("no.1042 please", "1042", "1042"),
        ("order1042 has not come", "1042", "1042"),
        ("10 42", "1042", "10 42"),
        ("one zero four two", "1042", "one zero four two"),
        ("ten forty-two", "1042", "ten forty-two"),
    ],
)
def test_an_order_number_is_found_however_it_is_written(text: str, value: str, piece_of_it: str) -> None:
    assert read(ORDER, text) == [(value, piece_of_it)]


@pytest.mark.parametrize("text", ["104", "10425", "A-1042", "abc1042", "12 10 42", "1042-2045", "x1042y"])
def test_a_part_of_another_number_is_no_order_number(text: str) -> None:
    assert read(ORDER, text) == []


@pytest.mark.parametrize("text", ["AB123", "ab123", "ab 123", "Ab-123", "it says A B 1 2 3"])
def test_a_code_is_put_together_and_gets_the_case_of_its_pattern(text: str) -> None:
    assert [value for value, _ in read(BOOKING, text)] == ["AB123"]


def test_everyday_words_are_no_letters_of_a_code() -> None:
    assert read(BOOKING, "we are in 123") == []
    assert read(ROOM, "h20331") == [("H-20331", "h20331")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("€20", 20.0),
        ("20 €", 20.0),
        ("EUR 19.90", 19.9),
        ("twenty euros", 20.0),
        ("one hundred and twenty euros", 120.0),
        ("hundred and fifty euro", 150.0),
        ("1.250,00", 1250.0),
        ("1,250.00 EUR", 1250.0),
        ("1.250 €", 1250.0),
        ("12,50", 12.5),
        ("20 euro 50", 20.5),
        ("35 euors", 35.0),
    ],
)
def test_an_amount_is_the_same_however_it_is_written(text: str, value: float) -> None:
    assert [each for each, _ in read(AMOUNT, text)] == [value]


def test_an_amount_in_another_currency_is_none_of_the_slot() -> None:
    assert read(AMOUNT, "$20") == []
    assert [each.currency for each in numerals_of("£60, 20 dollars and 5 CHF")] == ["GBP", "USD", "CHF"]


def test_hundreds_of_digits_are_no_number() -> None:
    assert numerals_of(f"{'9' * 400} euros, or 20 euros")[0].value == 20


def test_times_percentages_and_things_called_one_are_no_numbers() -> None:
    assert numerals_of("at 10:30, 8pm or 10 o'clock, 20 % off, the one with the lamp") == []


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", "2026-11-25"),
        ("tommorow", "2026-11-26"),
        ("the day after tomorrow", "2026-11-27"),
        ("Friday", "2026-11-27"),
        ("next Friday", "2026-12-04"),
        ("Monday week", "2026-12-07"),
        ("wensday next week", "2026-12-02"),
        ("a week on Friday", "2026-12-04"),
        ("3 December", "2026-12-03"),
        ("December the 3rd", "2026-12-03"),
        ("Dec. 3rd, 2027", "2027-12-03"),
        ("the first of December", "2026-12-01"),
        ("on the 8th", "2026-12-08"),
        ("monday the 7th", "2026-12-07"),
        ("Friday, 4 December", "2026-12-04"),
        ("12/03", "2027-03-12"),
        ("14/12/2026", "2026-12-14"),
        ("12/14/2026", "2026-12-14"),
        ("5.12.", "2026-12-05"),
        ("2026-12-10", "2026-12-10"),
        ("in two weeks", "2026-12-09"),
        ("a fortnight from now", "2026-12-09"),
        ("two weeks from Friday", "2026-12-11"),
        ("in a month", "2026-12-25"),
        ("end of the month", "2026-11-30"),
        ("Christmas Eve", "2026-12-24"),
        ("29 February", "2028-02-29"),
    ],
)
def test_a_day_is_counted_from_today(text: str, day: str) -> None:
    assert [each for each, _ in read(DAY, text)] == [day]


@pytest.mark.parametrize(
    "text",
    ["any day", "next week", "soon", "the 3rd floor", "30 February", "march on", "may I", "order 12.50"],
)
def test_what_names_no_single_day_is_no_date(text: str) -> None:
    assert read(DAY, text) == []


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("last Saturday", "2026-11-21"),
        ("on Friday", "2026-11-20"),
        ("20 November", "2026-11-20"),
        ("two days ago", "2026-11-23"),
    ],
)
def test_a_slot_for_the_past_looks_back(text: str, day: str) -> None:
    [found] = named_days(text, WEDNESDAY, past=True)
    assert found.day.isoformat() == day


def test_the_month_comes_first_in_america() -> None:
    [found] = named_days("12/03", WEDNESDAY, "en-US")
    assert found.day == date(2026, 12, 3)


def test_both_days_of_a_range_are_found() -> None:
    for text in ("from 3 to 5 December", "December 3-5", "3rd until the 5th of December"):
        assert [each for each, _ in read(DAY, text)] == ["2026-12-03", "2026-12-05"]
    assert [each for each, _ in read(DAY, "Sunday to Tuesday")] == ["2026-11-29", "2026-12-01"]


def test_the_last_day_of_a_shorter_month_is_its_end() -> None:
    [found] = named_days("in a month", date(2027, 1, 31))
    assert found.day == date(2027, 2, 28)


def test_choices_are_found_by_other_names_and_with_slips_of_the_finger() -> None:
    assert read(ITEM, "the couhc and two armchairs") == [("sofa", "couhc"), ("chair", "armchairs")]
    assert read(GIFT, "without gift wrap") == [(False, "without gift wrap")]
    assert read(GIFT, "with gift-wrap please") == [(True, "with gift-wrap")]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("not 1042 but 1190", ["1190"]),
        ("1190, not 1042", ["1190"]),
        ("1042, no wait, 1190", ["1190"]),
        ("1042... I mean 1190", ["1190"]),
        ("instead of 1042 take 1190", ["1190"]),
        ("anything but 1042", []),
        ("change it from 1042 to 1190", ["1190"]),
        ("1042 and 1190", ["1042", "1190"]),
        ("1042, 1042", ["1042"]),
    ],
)
def test_what_is_ruled_out_or_taken_back_is_not_meant(text: str, values: list[str]) -> None:
    assert [each.value for each in meant(candidates_of(ORDER, text, WEDNESDAY), text)] == values


def test_short_words_and_other_first_letters_are_not_forgiven() -> None:
    assert slips("thrusday", "thursday") == 1
    assert is_misspelt("tommorow", "tomorrow")
    assert not is_misspelt("fight", "eight")
    assert not is_misspelt("lamb", "lamp")
