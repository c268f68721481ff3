"""The checkable claims in a text: numbers, dates, times, identifiers, addresses and names, in canonical form.

A claim *needs* one key; a passage *gives* a set of keys. `1,000`, `1000` and `one thousand` share a key, and
`2026-11-26` gives the key that `26 November` needs. A text that says more than its passage (the year of a
date, the unit of a number) needs a key that the passage does not give.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from agentkit.knowledge.sentences import plain, sentences, stem, words
from agentkit.knowledge.vocabulary import (
    CALENDAR_NAMES,
    FUNCTION_WORDS,
    MONTHS,
    NUMBER_WORDS,
    ORDINALS,
    STARTERS,
    UNITS,
    WEEKDAYS,
)


@dataclass(frozen=True)
class Claim:
    """One thing that a text states and that can be looked up in a passage.

    Args:
        text: As it is written.
        needs: The key that a passage has to give to support it; empty where nothing is needed.
        gives: The keys that a text with this claim gives.
        unit: Unit or currency of a number; empty for everything else.
    """

    text: str
    needs: str
    gives: frozenset[str]
    unit: str = ""


@dataclass(frozen=True)
class Offer:
    """What one passage gives: keys of claims, the units that it mentions, and the stems of its words."""

    keys: frozenset[str]
    units: frozenset[str]
    stems: frozenset[str]

    def supports(self, claim: Claim) -> bool:
        """Whether the passage states `claim`, in this or another form.

        A number with a unit is also supported by the bare number in a passage that mentions the unit
        elsewhere, as in `{"weight_kg": 3.2}`.
        """
        if claim.needs in self.keys:
            return True
        bare = claim.needs.removesuffix(claim.unit) + "*"
        return bool(claim.unit) and claim.unit in self.units and bare in self.keys


@dataclass(frozen=True)
class Reading:
    """A text taken apart: its claims, and the words that belong to none of them, in lower case."""

    claims: tuple[Claim, ...]
    words: tuple[str, ...]


@lru_cache(maxsize=1024)
def read(text: str) -> Reading:
    """Everything in `text` that needs support, and the other words.

    Names are words with a capital letter, except for common words at the beginning of a sentence. The word
    `one` alone is no number.
    """
    found: list[Claim] = []
    left: list[str] = []
    for sentence in sentences(plain(text)):
        stated, rest = _claims(sentence)
        found.extend(stated)
        left.extend(words(rest))
    return Reading(tuple(found), tuple(left))


@lru_cache(maxsize=512)
def offer(text: str) -> Offer:
    """What `text` gives as evidence."""
    text = plain(text)
    keys = {key for claim in read(text).claims for key in claim.gives}
    spoken = words(text)
    keys.update("name:" + _name_key(word) for word in spoken)
    keys.update(f"number:{ORDINALS[word]}:" for word in spoken if word in ORDINALS)
    # `XK 418` may also be written `XK418`.
    keys.update("id:" + (a + b).casefold() for a, b in re.findall(r"\b([A-Z]{1,5}) (\d+)\b", text))
    units = frozenset(UNITS[word] for word in [*spoken, *re.findall(r"[€$£¥%]", text)] if word in UNITS)
    return Offer(frozenset(keys), units, frozenset(stem(word) for word in spoken))


def _claim(text: str, needs: str, *more: str) -> Claim:
    return Claim(text.strip().rstrip("."), needs, frozenset((needs, *more)))


def _email(match: re.Match[str]) -> Claim:
    return _claim(match[0], "email:" + match[0].casefold())


def _url(match: re.Match[str]) -> Claim:
    return _claim(match[0], "url:" + re.sub(r"^(https?://)?(www\.)?", "", match[0].casefold()).rstrip("/"))


def _date(text: str, day: int, month: int, year: str) -> Claim | None:
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    short = f"date:{month:02d}-{day:02d}"
    more = (f"number:{day}:", "name:" + _month_name(month))
    if not year:
        return _claim(text, short, *more)
    return _claim(
        text,
        f"date:{year}-{month:02d}-{day:02d}",
        short,
        f"month:{year}-{month:02d}",
        f"number:{year}:",
        *more,
    )


def _iso_date(match: re.Match[str]) -> Claim | None:
    return _date(match[0], int(match[3]), int(match[2]), match[1])


def _numeric_date(match: re.Match[str]) -> Claim | None:
    """`05/06/2026` may be May or June: it supports both, and is itself supported only by the same digits."""
    first, second = int(match[1]), int(match[3])
    year = match[4] if len(match[4]) == 4 else "20" + match[4]
    readings = (_date(match[0], first, second, year), _date(match[0], second, first, year))
    given = {key for reading in readings if reading for key in reading.gives}
    return _claim(match[0], f"date:{first}/{second}/{year}", *given) if given else None


def _day_month(match: re.Match[str]) -> Claim | None:
    return _date(match[0], int(match[1]), MONTHS[match[2].casefold()], match[3] or "")


def _month_day(match: re.Match[str]) -> Claim | None:
    return _date(match[0], int(match[2]), MONTHS[match[1].casefold()], match[3] or "")


def _month_year(match: re.Match[str]) -> Claim:
    month = MONTHS[match[1].casefold()]
    return _claim(
        match[0], f"month:{match[2]}-{month:02d}", f"number:{match[2]}:", "name:" + _month_name(month)
    )


def _time(match: re.Match[str]) -> Claim | None:
    hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").casefold()[:1]
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return _claim(match[0], f"time:{hour * 60 + minute}") if hour <= 24 and minute <= 59 else None


def _phone(match: re.Match[str]) -> Claim | None:
    digits = re.sub(r"\D", "", match[0])
    if len(digits) < 6:
        return None
    parts = (f"number:{_canonical(part)}:" for part in re.findall(r"\d+", match[0]))
    return _claim(match[0], "phone:" + digits, *parts)


def _ordinal(match: re.Match[str]) -> Claim:
    return _claim(match[0], f"number:{int(match[1])}:")


def _month_name(number: int) -> str:
    return next(name for name, value in MONTHS.items() if value == number)


_MONTH: Final = "(" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")(?![^\W\d_])\.?"
_UNIT: Final = "|".join(re.escape(form) for form in sorted(UNITS, key=len, reverse=True))
_NUMBER_WORD: Final = "(?:" + "|".join(sorted(NUMBER_WORDS, key=len, reverse=True)) + ")"

# Tried in this order: what an earlier pattern has taken, a later one does not see.
_PATTERNS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Claim | None]], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), make)
    for pattern, make in (
        (r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\w", _email),
        (r"(?:https?://|www\.)[^\s<>\"')\]]*[\w/]", _url),
        (r"(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?!\d)", _iso_date),
        (r"(?<![\w./])(\d{1,2})([./])(\d{1,2})\2(\d{4}|\d{2})(?![\w/])", _numeric_date),
        (
            rf"(?<![\w.,:])(\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?{_MONTH}(?:,?\s+(\d{{4}})(?!\d|[.,:]\d))?",
            _day_month,
        ),
        (
            rf"(?<!\w){_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?(?![\w:]|[.,]\d)(?:,?\s+(\d{{4}})(?!\d))?",
            _month_day,
        ),
        (rf"(?<!\w){_MONTH}\s+(\d{{4}})(?!\d)", _month_year),
        (r"(?<![\w:.,])(\d{1,2})(?:[:.](\d{2}))?\s?([ap]\.?m(?!\w)\.?)", _time),
        (r"(?<![\w:.,])(\d{1,2}):(\d{2})(?::\d{2})?()(?![\w:])", _time),
        (r"(?<![\w.,])(?:\+\d|\(?0)\d*\)?(?:[ /()-]{1,2}\d+)+(?!\w|[.,:]\d)", _phone),
        (r"(?<![\w.,])(\d+)(?:st|nd|rd|th)(?!\w)", _ordinal),
    )
)
# Letters and digits, joined by single marks: `1,000`, `E-417`, `24-month`, `8-18`, `3.11.2`.
_TOKEN: Final = re.compile(r"[^\W_]+(?:[-_/.,][^\W_]+)*")
_PLAIN_NUMBER: Final = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d{3})+,\d+|\d+(?:[.,]\d+)?"
_NUMBER: Final = re.compile(_PLAIN_NUMBER)
_RANGE: Final = re.compile(r"\d+(?:[.,]\d+)?(?:[-/]\d+(?:[.,]\d+)?)+")
_NUMBER_AND_WORD: Final = re.compile(rf"({_PLAIN_NUMBER})(-?)([^\W\d_]+)(?:-[^\W\d_]+)*")
_UNIT_BEHIND: Final = re.compile(rf"[\s-]?({_UNIT})(?!\w)", re.IGNORECASE)
_UNIT_BEFORE: Final = re.compile(r"((?<!\w)(?:EUR|USD|GBP|CHF|JPY)|[€$£¥])\s?$", re.IGNORECASE)
_WRITTEN: Final = re.compile(
    rf"(?<!\w){_NUMBER_WORD}(?:(?:[\s-]|\sand\s){_NUMBER_WORD})*(?!\w)", re.IGNORECASE
)
_NAME: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_TAKEN: Final = "\x00"


def _claims(sentence: str) -> tuple[list[Claim], str]:
    """The claims of one plain sentence and what is left of it; no step sees what an earlier one has taken."""
    found: list[Claim] = []
    rest = sentence
    for pattern, make in _PATTERNS:
        for match in pattern.finditer(rest):
            claim = make(match)
            if claim is not None:
                found.append(claim)
                rest = _blank(rest, match.start(), match.end())
    for match in _TOKEN.finditer(rest):
        if any(character.isdigit() for character in match[0]):
            for claim, start, end in _numeric(rest, match):
                found.append(claim)
                rest = _blank(rest, start, end)
    for match in _WRITTEN.finditer(rest):
        claim, start, end = _measure(rest, str(_written_value(match[0])), match.start(), match.end())
        found.append(claim if match[0].casefold() != "one" else Claim(claim.text, "", claim.gives))
        rest = _blank(rest, start, end)
    for match in _NAME.finditer(rest):
        if _is_name(rest, match):
            found.append(_claim(match[0], "name:" + _name_key(match[0].casefold())))
            rest = _blank(rest, match.start(), match.end())
    return found, rest


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + _TAKEN * (end - start) + text[end:]


def _numeric(text: str, match: re.Match[str]) -> Iterator[tuple[Claim, int, int]]:
    """The claims of a token that holds a digit, with the span of text that each takes."""
    token, start, end = match[0], match.start(), match.end()
    joined = _NUMBER_AND_WORD.fullmatch(token)
    if _NUMBER.fullmatch(token):
        yield _measure(text, token, start, end)
    elif joined and (joined[3].casefold() in UNITS or (joined[2] and joined[3].islower())):
        unit = UNITS.get(joined[3].casefold(), "")
        yield _number(token, joined[1], unit), start, end
    elif _RANGE.fullmatch(token):
        for part in re.finditer(r"\d+(?:[.,]\d+)?", token):
            yield _measure(text, part[0], start + part.start(), start + part.end())
    else:
        yield _claim(token, "id:" + re.sub(r"[^\w.]|_", "", token.casefold())), start, end


def _measure(text: str, number: str, start: int, end: int) -> tuple[Claim, int, int]:
    """The number at `text[start:end]` with the currency before it or the unit behind it, and its span."""
    before, behind, unit = _UNIT_BEFORE.search(text, 0, start), _UNIT_BEHIND.match(text, end), ""
    if before:
        start, unit = before.start(), UNITS[before[1].casefold()]
    elif behind:
        end, unit = behind.end(), UNITS[behind[1].casefold()]
    return _number(text[start:end], number, unit), start, end


def _number(text: str, number: str, unit: str) -> Claim:
    """`number:19:EUR`, and `number:19:` for who needs no unit; `number:19:*` where none is written."""
    key = f"number:{_canonical(number)}:"
    return Claim(text.strip(), key + unit, frozenset((key, key + (unit or "*"))), unit)


def _canonical(number: str) -> str:
    """`1,000` and `1000.0` are `1000`, `0,5` is `0.5`, `1.250,50` is `1250.5`; `1.000` is one."""
    if re.fullmatch(r"\d+(?:,\d{3})+(?:\.\d+)?", number):
        number = number.replace(",", "")
    elif re.fullmatch(r"\d+(?:\.\d{3})+,\d+", number):
        number = number.replace(".", "")
    value = Decimal(number.replace(",", "."))
    return format(value.normalize(), "f")


def _written_value(text: str) -> int:
    """`twenty-five` is 25, `two thousand one hundred` 2100."""
    total = current = 0
    for word in words(text):
        value = NUMBER_WORDS.get(word, 0)
        if word in {"thousand", "million"}:
            total, current = total + max(current, 1) * value, 0
        elif word in {"hundred", "dozen"}:
            current = max(current, 1) * value
        else:
            current += value
    return total + current


def _is_name(text: str, match: re.Match[str]) -> bool:
    lower = match[0].casefold()
    first = not any(character.isalnum() or character == _TAKEN for character in text[: match.start()])
    common = lower in FUNCTION_WORDS or (first and lower in STARTERS)
    return lower in CALENDAR_NAMES or (match[0][0].isupper() and not common)


def _name_key(word: str) -> str:
    """Weekdays and months by their full name, everything else without a genitive or plural s."""
    if word in WEEKDAYS:
        return WEEKDAYS[word]
    if word in MONTHS:
        return _month_name(MONTHS[word])
    word = word.removesuffix("'s")
    return word.removesuffix("s") if len(word) > 3 else word
