"""When the people of the desk are there: hours by weekday, a time zone, holidays."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, model_validator

from agentkit.messages import Value

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT: Final = tuple(name[:3] for name in WEEKDAYS)
_SPAN: Final = re.compile(r"^(\d{1,2})(?::(\d{2}))?\s*[-–]\s*(\d{1,2})(?::(\d{2}))?$")
_LONGEST_SEARCH: Final = 400  # days that are looked through for the next one with somebody there


def _as_several(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class Opening(Value):
    """When somebody is there next, in the desk's own time.

    Args:
        at: The time.
        days: Days from now: 0 is today, 1 tomorrow.
        weekday: Its English name.
    """

    at: datetime
    days: int
    weekday: str

    @property
    def time(self) -> str:
        """Hours and minutes."""
        return f"{self.at:%H:%M}"

    @property
    def date(self) -> str:
        """Year, month, day."""
        return f"{self.at:%Y-%m-%d}"


class DeskSettings(Value):
    """Who answers customers that the bot hands over, and when; `desk:` of `agent.yaml`.

    Args:
        team: Who answers, for the customer: "our service team".
        answers_within: How long an answer takes while somebody is there, for the customer: "ten minutes".
        time_zone: Name of the zone that the hours are in, `Europe/Berlin` say.
        hours: By weekday or range of weekdays (`mon`, `mon-fri`), when somebody is there: `09:00-18:00`, or a list of
            such. Without any entry, always.
        holidays: Days on which nobody is there.
        relieve_after: Minutes without a word of the person who has a conversation, after which others may take it.
        urgent: Reasons (names of intents, whole words of the reason in any case) that are answered before all others.
    """

    team: str = "a colleague"
    answers_within: str = ""
    time_zone: str = "UTC"
    hours: dict[str, Annotated[tuple[str, ...], BeforeValidator(_as_several)]] = Field(default_factory=dict)
    holidays: tuple[date, ...] = ()
    relieve_after: float = Field(default=30, gt=0)
    urgent: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                f"there is no time zone {self.time_zone!r}; names look like Europe/Berlin"
            ) from None
        assert self.by_weekday is not None  # raises where a day or a span cannot be read
        return self

    @cached_property
    def by_weekday(self) -> dict[int, list[tuple[time, time]]]:
        """The spans of each weekday, Monday being 0, in order."""
        found: dict[int, list[tuple[time, time]]] = {}
        for days, spans in self.hours.items():
            for day in _days(days):
                found.setdefault(day, []).extend(_span(text) for text in spans)
        return {day: sorted(spans) for day, spans in found.items()}

    def is_open(self, now: datetime) -> bool:
        """Whether somebody is there.

        Args:
            now: Aware.
        """
        local = now.astimezone(ZoneInfo(self.time_zone))
        clock = local.time()
        return not self.hours or any(start <= clock < end for start, end in self._on(local.date()))

    def opens(self, now: datetime) -> Opening | None:
        """When somebody is there next; None: somebody is there now, or never is.

        Args:
            now: Aware.
        """
        if self.is_open(now):
            return None
        zone = ZoneInfo(self.time_zone)
        local = now.astimezone(zone)
        for days in range(_LONGEST_SEARCH):
            day = local.date() + timedelta(days=days)
            for start, _ in self._on(day):
                at = datetime.combine(day, start, zone)
                if at > local:
                    return Opening(at=at, days=days, weekday=WEEKDAYS[day.weekday()].capitalize())
        return None

    def _on(self, day: date) -> list[tuple[time, time]]:
        return [] if day in self.holidays else self.by_weekday.get(day.weekday(), [])


def _days(text: str) -> range | list[int]:
    first, _, last = text.casefold().partition("-")
    start, end = _day(first, text), _day(last or first, text)
    return range(start, end + 1) if start <= end else [*range(start, 7), *range(end + 1)]


def _day(name: str, text: str) -> int:
    short = name.strip()[:3]
    if short not in _SHORT or not WEEKDAYS[_SHORT.index(short)].startswith(name.strip()):
        raise ValueError(f"{text!r} is neither a weekday nor a range of weekdays such as mon-fri")
    return _SHORT.index(short)


def _span(text: str) -> tuple[time, time]:
    match = _SPAN.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no span of time such as 09:00-18:00")
    hours = [int(part or 0) for part in match.groups()]
    end_of_day = (hours[2], hours[3]) == (24, 0)
    try:
        start, end = time(hours[0], hours[1]), time.max if end_of_day else time(hours[2], hours[3])
    except ValueError:
        raise ValueError(f"{text!r} names a time that no day has") from None
    if start >= end:
        raise ValueError(f"{text!r} ends before it begins; write two spans for hours across midnight")
    return start, end
