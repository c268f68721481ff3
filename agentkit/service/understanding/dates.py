"""Days that a message names, counted from today: "next Friday", "3 December", "12/03", "in two weeks".

What is ambiguous in English is settled once: "Friday" is the next one after today; "next Friday" the one of the next
calendar week, which begins on Monday; "Friday week" seven days after the next one; 12/03 is 12 March (3 December
for `en-US`); a day without a year is the next one, or the last one where the past is meant. What names no single day
("next week", "soon") is no date.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypeAlias

from agentkit.service.understanding.calendar_words import (
    COUNTS,
    FEASTS,
    FORGIVEN,
    MONTHS,
    ORDINALS,
    SHORT,
    WEEKDAYS,
)
from agentkit.service.understanding.words import Respelled, respelled

_WD: Final = rf"(?P<weekday>{'|'.join(WEEKDAYS)})"
_MONTH: Final = rf"(?P<month>{'|'.join(MONTHS)}|mar)\b\.?"
_DAY: Final = rf"(?P<day>\d{{1,2}}|{'|'.join(ORDINALS)})(?:st|nd|rd|th)?\b"
_YEAR: Final = r"(?:,?\s+(?P<year>\d{4})\b)?"
_COUNT: Final = rf"(?P<count>\d{{1,3}}|{'|'.join(COUNTS)})(?:\s+of)?"
_UNIT: Final = r"(?P<unit>day|week|month|year|fortnight)s?'?\b"
_AS_A_DATE: Final = (
    r"(?=\s*(?:$|[.,;!?)\n-]|\b(?:of|at|in|please|pls|would|works?|is|was|if|for|instead|not|and|or|until|till|to|then|"
    r"because|as|would|could|should|with|on|rather|thanks?|from|around|by|than|will|morning|afternoon|evening)\b))"
)
"""What may stand behind "the 3rd", so that it is no floor and no attempt."""
_RANGE_WORD: Final = r"(?:to|until|till|through|and|-|–|—)"

_Found: TypeAlias = Iterator[tuple[date, int, int]]


@dataclass(frozen=True)
class NamedDay:
    """A day that a message names.

    Args:
        day: The day.
        start: Where its words begin in the message.
        end: Behind them.
        doubtful: It could be something else ("5.12", a bare "8th"): a date only where one was asked for.
    """

    day: date
    start: int
    end: int
    doubtful: bool = False


@dataclass(frozen=True)
class _Frame:
    """What days are counted from."""

    today: date
    month_first: bool
    past: bool

    def of_year(self, month: int, day: int, year: int | None = None) -> date | None:
        """The day of that year, or else the nearest one in the direction that is meant."""
        if year is not None:
            return _day(year + 2000 if year < 100 else year, month, day)
        years = [self.today.year + step for step in ((0, -1, -2, -4) if self.past else (0, 1, 2, 4))]
        days = [found for each in years if (found := _day(each, month, day)) is not None]
        return next(
            (each for each in days if (each <= self.today if self.past else each >= self.today)), None
        )

    def weekday(self, name: str) -> date:
        """The next such day after today, or the last one before it."""
        ahead = (WEEKDAYS.index(name) - self.today.weekday() - 1) % 7 + 1
        return self.today + timedelta(ahead if not self.past else (ahead - 7) or -7)

    def of_week(self, name: str, weeks: int) -> date:
        """That day of the calendar week so many weeks from this one."""
        monday = self.today - timedelta(self.today.weekday())
        return monday + timedelta(WEEKDAYS.index(name) + 7 * weeks)

    def of_month(self, day: int, months: int | None = None) -> date | None:
        """That day of a month so many months from this one, or the nearest one."""
        steps = [months] if months is not None else [0, -1, -2] if self.past else [0, 1, 2]
        for step in steps:
            index = self.today.year * 12 + self.today.month - 1 + step
            found = _day(index // 12, index % 12 + 1, day)
            if found is not None and (
                months is not None or (found <= self.today if self.past else found >= self.today)
            ):
                return found
        return None


def named_days(text: str, today: date, language: str = "en", *, past: bool = False) -> list[NamedDay]:
    """The days that a text names, in their order.

    Args:
        text: The message.
        today: What they are counted from.
        language: `en-US` reads 12/03 as 3 December.
        past: A day without a year is the last such day rather than the next one.
    """
    right = respelled(text, FORGIVEN, SHORT)
    frame = _Frame(today, language.lower() == "en-us", past)
    found: list[tuple[int, int, date, bool]] = []
    for pattern, read, doubtful in _PATTERNS:
        for match in pattern.finditer(right.text):
            found += [(start, end, day, doubtful) for day, start, end in read(match, frame)]
    return _in_order(_apart(found), right)


def _apart(found: list[tuple[int, int, date, bool]]) -> list[tuple[int, int, date, bool]]:
    """Of readings that overlap the one that begins first, of those the longest."""
    kept: list[tuple[int, int, date, bool]] = []
    for each in sorted(found, key=lambda f: (f[0], -f[1])):
        if not kept or each[0] >= kept[-1][1]:
            kept.append(each)
    return kept


def _in_order(found: list[tuple[int, int, date, bool]], right: Respelled) -> list[NamedDay]:
    """The second weekday of "Sunday to Tuesday" follows the first."""
    days: list[NamedDay] = []
    before = 0
    for start, end, day, doubtful in found:
        between = right.text[before:start]
        named_alone = right.text[start:end] in WEEKDAYS
        if days and named_alone and re.fullmatch(rf"\s*{_RANGE_WORD}\s*", between) and day <= days[-1].day:
            day += timedelta(7)
        days.append(NamedDay(day, *right.span(start, end), doubtful))
        before = end
    return days


def _day(year: int, month: int, day: int) -> date | None:
    if not (1 <= month <= 12 and 1 <= year <= 9999 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    return date(year, month, day)


def _one(day: date | None, match: re.Match[str]) -> _Found:
    if day is not None:
        yield day, match.start(), match.end()


def _number(text: str) -> int:
    return int(text) if text.isdigit() else ORDINALS[text]


def _month(text: str) -> int:
    return 3 if text == "mar" else MONTHS.index(text) + 1


def _calendar_day(match: re.Match[str], frame: _Frame) -> _Found:
    year = match["year"]
    day = frame.of_year(_month(match["month"]), _number(match["day"]), int(year) if year else None)
    return _one(day, match)


def _day_range(match: re.Match[str], frame: _Frame) -> _Found:
    """3 to 5 December; December 3 to 5."""
    month, year = _month(match["month"]), int(match["year"]) if match["year"] else None
    first = frame.of_year(month, _number(match["day"]), year)
    last = frame.of_year(month, _number(match["last"]), year)
    if first is not None and last is not None:
        yield first, match.start(), match.end("day")
        yield last, match.start("last"), match.end()


def _iso(match: re.Match[str], _: _Frame) -> _Found:
    return _one(_day(int(match[1]), int(match[2]), int(match[3])), match)


def _numeric(match: re.Match[str], frame: _Frame) -> _Found:
    first, second, year = int(match[1]), int(match[2]), int(match[3]) if match[3] else None
    if frame.month_first and match.re is _SLASHED:
        first, second = second, first
    day = frame.of_year(second, first, year) or frame.of_year(first, second, year)
    return _one(day, match)


def _near(match: re.Match[str], frame: _Frame) -> _Found:
    days = {"day after tomorrow": 2, "day before yesterday": -2, "tomorrow": 1, "yesterday": -1, "today": 0}
    return _one(frame.today + timedelta(days[" ".join(match[1].split())]), match)


def _feast(match: re.Match[str], frame: _Frame) -> _Found:
    return _one(frame.of_year(*FEASTS[match[1]]), match)


def _weekday(match: re.Match[str], frame: _Frame) -> _Found:
    name, which = match["weekday"], match["which"]
    if which == "next":
        return _one(frame.of_week(name, 1), match)
    if which in ("last", "past", "previous"):
        return _one(_Frame(frame.today, frame.month_first, True).weekday(name), match)
    if which in ("this", "coming", "this coming", "upcoming"):
        return _one(_Frame(frame.today, frame.month_first, False).weekday(name), match)
    return _one(frame.weekday(name), match)


def _weekday_later(match: re.Match[str], frame: _Frame) -> _Found:
    return _one(_Frame(frame.today, frame.month_first, False).weekday(match["weekday"]) + timedelta(7), match)


def _weekday_of_week(match: re.Match[str], frame: _Frame) -> _Found:
    weeks = {"next": 1, "this": 0, "last": -1, "": 2}[match["which"]]
    return _one(frame.of_week(match["weekday"], weeks), match)


def _weekday_and_day(match: re.Match[str], frame: _Frame) -> _Found:
    """Monday the 7th: the day of the month that is a Monday, among the next twelve."""
    number = _number(match["day"])
    for months in range(12):
        day = frame.of_month(number, -months if frame.past else months)
        if day is not None and day.weekday() == WEEKDAYS.index(match["weekday"]):
            return _one(day, match)
    return _one(None, match)


def _day_of_month(match: re.Match[str], frame: _Frame) -> _Found:
    months = {"next": 1, "this": 0, "last": -1}.get(match["which"] or "")
    return _one(frame.of_month(int(match["day"]), months), match)


def _from_now(match: re.Match[str], frame: _Frame) -> _Found:
    groups = match.groupdict()
    weekday, near = groups.get("weekday"), groups.get("near")
    start = frame.today
    if weekday:
        start = frame.weekday(weekday)
    elif near == "tomorrow":
        start += timedelta(1)
    return _one(_moved(start, match, 1), match)


def _ago(match: re.Match[str], frame: _Frame) -> _Found:
    return _one(_moved(frame.today, match, -1), match)


def _moved(start: date, match: re.Match[str], sign: int) -> date | None:
    """So many days, weeks, months or years from a day; the 31st becomes the last day of a shorter month."""
    word = match["count"]
    count = sign * (int(word) if word.isdigit() else COUNTS[word])
    unit = match["unit"]
    if unit in ("day", "week", "fortnight"):
        return start + timedelta(count * {"day": 1, "week": 7, "fortnight": 14}[unit])
    index = start.year * 12 + start.month - 1 + count * (12 if unit == "year" else 1)
    year, month = index // 12, index % 12 + 1
    return _day(year, month, min(start.day, calendar.monthrange(year, month)[1]))


def _end_of_month(match: re.Match[str], frame: _Frame) -> _Found:
    index = frame.today.year * 12 + frame.today.month - 1 + (1 if match[1] == "next" else 0)
    year, month = index // 12, index % 12 + 1
    return _one(_day(year, month, calendar.monthrange(year, month)[1]), match)


_SLASHED: Final = re.compile(r"(?<![\w/.,])(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?(?![\w/])")

_Reader: TypeAlias = Callable[[re.Match[str], _Frame], _Found]
_PATTERNS: Final[tuple[tuple[re.Pattern[str], _Reader, bool], ...]] = (
    (re.compile(r"(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?![\w-])"), _iso, False),
    (_SLASHED, _numeric, False),
    (re.compile(r"(?<![\w.,/])(\d{1,2})\.\s?(\d{1,2})\.(?:\s?(\d{4}|\d{2})(?!\w))?"), _numeric, False),
    (re.compile(r"(?<![\w-])(\d{1,2})-(\d{1,2})-(\d{4})(?![\w-])"), _numeric, False),
    (re.compile(r"(?<![\w.,/])(\d{1,2})\.(\d{1,2})(?![\w.,/])()"), _numeric, True),
    (
        re.compile(
            rf"\b(?:{_WD},?\s+)?(?:the\s+)?{_DAY}\s*{_RANGE_WORD}\s*(?:the\s+)?"
            rf"(?P<last>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}{_YEAR}"
        ),
        _day_range,
        False,
    ),
    (
        re.compile(
            rf"\b{_MONTH}\s+(?:the\s+)?{_DAY}\s*{_RANGE_WORD}\s*(?:the\s+)?(?P<last>\d{{1,2}})(?:st|nd|rd|th)?\b{_YEAR}"
        ),
        _day_range,
        False,
    ),
    (
        re.compile(rf"\b(?:{_WD},?\s+)?(?:the\s+)?(?<![.,/])\b{_DAY}\s*(?:of\s+)?{_MONTH}{_YEAR}"),
        _calendar_day,
        False,
    ),
    (re.compile(rf"\b(?:{_WD},?\s+)?{_MONTH}\s+(?:the\s+)?{_DAY}(?![.,/]\d){_YEAR}"), _calendar_day, False),
    (re.compile(rf"\b{_WD},?\s+(?:the\s+)?{_DAY}(?!\s*(?:of|o'clock|am|pm|:))"), _weekday_and_day, False),
    (
        re.compile(
            r"\b(?:the\s+)?(day\s+after\s+tomorrow|day\s+before\s+yesterday|tomorrow|yesterday|today)\b"
        ),
        _near,
        False,
    ),
    (re.compile(rf"\b({'|'.join(FEASTS)})(?!\w)"), _feast, False),
    (
        re.compile(
            rf"\b(?:(?:the\s+)?(?P<which>next|last|past|previous|this\s+coming|this|coming|upcoming)\s+)?{_WD}\b"
        ),
        _weekday,
        False,
    ),
    (re.compile(rf"\ba\s+week\s+(?:on\s+)?{_WD}\b"), _weekday_later, False),
    (re.compile(rf"\b{_WD}\s+week\b"), _weekday_later, False),
    (re.compile(rf"\b{_WD}\s+(?:of\s+)?(?P<which>next|this|last)\s+week\b"), _weekday_of_week, False),
    (re.compile(rf"\b(?P<which>next|this|last)\s+week,?\s+(?:on\s+)?{_WD}\b"), _weekday_of_week, False),
    (
        re.compile(
            rf"\bthe\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)(?:\s+of\s+(?P<which>next|this|last)\s+month|{_AS_A_DATE})"
        ),
        _day_of_month,
        False,
    ),
    (re.compile(rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th){_AS_A_DATE}(?P<which>)"), _day_of_month, True),
    (re.compile(rf"\bin\s+(?:a\s+)?{_COUNT}\s+{_UNIT}(?:\s+time)?"), _from_now, False),
    (
        re.compile(
            rf"\b(?:a\s+)?{_COUNT}\s+{_UNIT}\s+(?:from|after)\s+(?:(?P<near>now|today|tomorrow)|(?:next\s+)?{_WD})\b"
        ),
        _from_now,
        False,
    ),
    (re.compile(rf"\b(?:a\s+)?{_COUNT}\s+{_UNIT}\s+(?:ago|before\s+today)\b"), _ago, False),
    (
        re.compile(rf"\b(?:the\s+)?week\s+after\s+next,?\s+(?:on\s+)?{_WD}\b(?P<which>)"),
        _weekday_of_week,
        False,
    ),
    (
        re.compile(rf"\b{_WD}\s+(?:of\s+)?(?:the\s+)?week\s+after\s+next\b(?P<which>)"),
        _weekday_of_week,
        False,
    ),
    (
        re.compile(rf"\b(?:not\s+)?(?:this\s+)?{_WD},?\s+(?:but\s+)?the\s+(?:one|week)\s+after\b"),
        _weekday_later,
        False,
    ),
    (re.compile(r"\b(?:the\s+)?end\s+of\s+(?:the|this|(next))\s+month\b"), _end_of_month, False),
)
