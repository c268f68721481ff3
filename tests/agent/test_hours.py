"""When the people of a desk are there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentkit.agent.hand_over import callback_in
from agentkit.agent.hours import DeskSettings
from agentkit.store.hand_off_records import Callback

OFFICE: Final = DeskSettings(
    time_zone="Europe/Berlin",
    hours={"mon-thu": ("09:00-18:00",), "friday": ("9-12", "13:00-15:30"), "sat": ("10:00-24:00",)},
    holidays=(date(2026, 12, 25), date(2026, 12, 26)),
)


def at(text: str) -> datetime:
    """A time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-11-26 08:59", False),
        ("2026-11-26 09:00", True),
        ("2026-11-26 18:00", False),
        ("2026-11-27 12:30", False),
        ("2026-11-27 15:29", True),
        ("2026-11-28 23:59", True),
        ("2026-11-29 12:00", False),
        ("2026-12-25 10:00", False),
        ("2026-07-06 09:30", True),
    ],
)
def test_somebody_is_there_in_the_hours_of_the_day(now: str, is_open: bool) -> None:
    assert OFFICE.is_open(at(now)) == is_open
    assert OFFICE.is_open(at(now).astimezone(UTC)) == is_open


@pytest.mark.parametrize(
    ("now", "opens", "days", "weekday"),
    [
        ("2026-11-26 07:00", "2026-11-26 09:00", 0, "Thursday"),
        ("2026-11-26 20:00", "2026-11-27 09:00", 1, "Friday"),
        ("2026-11-27 12:15", "2026-11-27 13:00", 0, "Friday"),
        ("2026-11-29 00:30", "2026-11-30 09:00", 1, "Monday"),
        ("2026-12-24 18:30", "2026-12-28 09:00", 4, "Monday"),
        ("2027-03-27 23:59:59.5", None, 0, ""),
        ("2027-03-28 01:30", "2027-03-29 09:00", 1, "Monday"),  # the clock goes forward in this night
    ],
)
def test_the_next_time_that_somebody_is_there(now: str, opens: str | None, days: int, weekday: str) -> None:
    found = OFFICE.opens(at(now))
    if opens is None:
        assert found is None
        return
    assert found is not None
    assert (found.at, found.days, found.weekday) == (at(opens), days, weekday)


def test_without_hours_somebody_is_always_there_and_with_none_at_all_never() -> None:
    assert DeskSettings().is_open(at("2026-12-25 03:00"))
    closed = DeskSettings(hours={"mon": ()})
    assert not closed.is_open(at("2026-11-30 10:00"))
    assert closed.opens(at("2026-11-30 10:00")) is None


@given(st.integers(0, 2 * 365 * 24 * 60))
def test_when_it_opens_somebody_is_there_and_not_before(minutes: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    opens = OFFICE.opens(now)
    if opens is None:
        assert OFFICE.is_open(now)
        return
    assert opens.at > now
    assert OFFICE.is_open(opens.at)
    assert not OFFICE.is_open(now + (opens.at - now) * 0.5)
    assert not OFFICE.is_open(opens.at - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"time_zone": "Berlin"}, "no time zone 'Berlin'"),
        ({"hours": {"mittwoch": ("9-18",)}}, "neither a weekday"),
        ({"hours": {"mon": ("9 to 18",)}}, "no span of time"),
        ({"hours": {"mon": ("18:00-09:00",)}}, "ends before it begins"),
        ({"hours": {"mon": ("09:00-25:00",)}}, "names a time that no day has"),
        ({"relieve_after": 0}, "greater than 0"),
    ],
)
def test_hours_that_mean_nothing_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DeskSettings.model_validate(wrong)


@pytest.mark.parametrize(
    ("text", "phone", "when"),
    [
        ("0151 / 234 56 78", "0151 / 234 56 78", ""),
        ("call +353 85 123 4567 tomorrow morning", "+353 85 123 4567", "tomorrow morning"),
        ("my number is 085 123 4567, after five please", "085 123 4567", "after five please"),
        ("(020) 910-0042 between 9 and 11", "(020) 910-0042", "between 9 and 11"),
        ("0151 2345678 am besten nachmittags", "0151 2345678", "am besten nachmittags"),
        ("020 9100042 at 5 pm.", "020 9100042", "at 5 pm"),
    ],
)
def test_a_number_and_a_time_are_read_from_a_message(text: str, phone: str, when: str) -> None:
    found = callback_in(text)
    assert found is not None
    assert found.phone == phone
    assert when.split()[-1] in found.when if when else found.when == ""


@pytest.mark.parametrize(
    "text", ["no thanks", "my order is 1042", "12345", "1" * 30, "", "IBAN DE02120300000000202051"]
)
def test_what_is_no_number_to_call_is_left_to_the_bot(text: str) -> None:
    assert callback_in(text) is None


def test_a_time_alone_counts_only_where_the_number_is_known() -> None:
    known = Callback(phone="0151 2345678")
    assert callback_in("tomorrow at nine", known) == Callback(phone="0151 2345678", when="tomorrow at nine")
    assert callback_in("tomorrow at nine") is None
    assert callback_in("where is my parcel", known) is None
