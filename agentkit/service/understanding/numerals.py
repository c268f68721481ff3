"""Numbers and amounts of money in a message, in digits and in English words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from agentkit.service.understanding.words import Word, is_misspelt, lowered, words_of

_SMALL: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ROUND: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS: Final = {word: value for value, word in enumerate(_SMALL.split())}
_TENS: Final = {word: value for value, word in zip(range(20, 100, 10), _ROUND.split(), strict=True)}
_MISSPELT: Final = {"fourty": "forty", "fourtheen": "fourteen", "ninty": "ninety", "twelf": "twelve"}
_SCALES: Final = {"hundred": 100, "thousand": 1000}
_PRONOUN_BEFORE: Final = frozenset(
    ("the", "this", "that", "which", "no", "another", "any", "every", "each", "some", "last", "next")
)
_PRONOUN_BEHIND: Final = frozenset(("of", "with", "that", "which", "who", "day", "from", "where"))
_CODES: Final = {
    **dict.fromkeys(("€", "eur", "euro", "euros"), "EUR"),
    **dict.fromkeys(("$", "usd", "dollar", "dollars", "bucks", "buck"), "USD"),
    **dict.fromkeys(("£", "gbp", "pound", "pounds", "quid"), "GBP"),
    **dict.fromkeys(("chf", "franc", "francs"), "CHF"),
}
_NAMES: Final = ("euros", "dollars", "pounds", "francs")
_DIGITS: Final = re.compile(
    r"(?<![\w.,:/-])(?:\d{1,3}(?:[.,'  ]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d+)?)"
    r"(?=(?:\s?(?:k|x|€|\$|£|eur|kg|km|cm|m|pm|am))?(?![\w/:-])|[€$£])"
)
_OF_TIME: Final = re.compile(r"\s?(?:am|pm|o'clock|a\.m|p\.m|h\b|hours?\b|minutes?\b|%)|:\d\d")
_CURRENCY_BEFORE: Final = re.compile(r"(€|\$|£|\b(?:eur|usd|gbp|chf))\s?$")
_CURRENCY_BEHIND: Final = re.compile(r"\s?-?\s?(€|\$|£|[a-z]+)")
_CENTS: Final = re.compile(r"\s?(?:and\s)?(\d{1,2})(?:\s?cents?\b)?(?!\s?[\w.,/:-]*\w)")
_A_FEW: Final = {"couple": 2, "dozen": 12}
DIGIT_WORDS: Final = {**{word: str(digit) for word, digit in list(_UNITS.items())[:10]}, "oh": "0"}
"""How digits are spoken one by one."""


@dataclass(frozen=True)
class Numeral:
    """A number that a message names.

    Args:
        value: The number.
        start: Where it begins, its currency included.
        end: Behind its end.
        currency: Code of its currency, empty where none is named.
        in_words: It is written in words.
    """

    value: float
    start: int
    end: int
    currency: str = ""
    in_words: bool = False


def numerals_of(text: str, language: str = "en", *, money: bool = False) -> list[Numeral]:
    """Numbers of a text in their order; times of day and percentages are none.

    Args:
        text: The message.
        language: Decides what a mark before three digits is, where both readings are possible: 1.250 is 1.25 in
            English and 1250 elsewhere.
        money: The numbers are amounts, which never have three digits behind the mark.
    """
    small = lowered(text)
    found = [
        Numeral(_number(each.group(), "" if money else language), each.start(), each.end())
        for each in _DIGITS.finditer(small)
    ]
    found += [Numeral(float(value), start, end, in_words=True) for value, start, end in _in_words(small)]
    found = [each for each in found if math.isfinite(each.value) and not _OF_TIME.match(small, each.end)]
    whole = _with_cents(
        sorted((_with_currency(each, small) for each in found), key=lambda each: each.start), small
    )
    return [each for i, each in enumerate(whole) if i == 0 or each.start >= whole[i - 1].end]


def spoken_digits(text: str) -> list[tuple[str, int, int]]:
    """Runs of number words that stand side by side, as digits: "one zero four two" and "ten forty-two" are 1042."""
    small = lowered(text)
    runs: list[tuple[str, int, int]] = []
    for value, start, end in _in_words(small, pronouns=True):
        if runs and re.fullmatch(r"[\s-]*", small[runs[-1][2] : start]):
            digits, first, _ = runs.pop()
            runs.append((f"{digits}{value}", first, end))
        else:
            runs.append((str(value), start, end))
    return runs


def _number(digits: str, language: str) -> float:
    """1.250,00 and 1,250.00 and 1250 are the same number."""
    digits = re.sub(r"[' \u00a0]", "", digits)
    marks = [each for each in digits if each in ".,"]
    if not marks:
        return float(digits)
    last = marks[-1]
    whole, _, rest = digits.rpartition(last)
    thousands = len(set(marks)) == 1 and len(rest) == 3 and (len(marks) > 1 or last in _thousands(language))
    if thousands:
        return float(re.sub(r"[.,]", "", digits))
    return float(f"{re.sub(r'[.,]', '', whole)}.{rest}")


def _thousands(language: str) -> str:
    """Marks that stand before three digits of a whole number."""
    return {"": ".,", "en": ","}.get(language.partition("-")[0], ".")


def _with_currency(numeral: Numeral, small: str) -> Numeral:
    start, end, value = numeral.start, numeral.end, numeral.value
    currency = ""
    if before := _CURRENCY_BEFORE.search(small[:start]):
        currency, start = _CODES[before.group(1)], before.start(1)
    elif behind := _CURRENCY_BEHIND.match(small, end):
        currency = _code(behind.group(1))
        if currency:
            end = behind.end(1)
            if value.is_integer() and (cents := _CENTS.match(small, end)):
                value, end = value + int(cents.group(1)) / 100, cents.end()
    if currency and re.fullmatch(r"\d{1,3}[.,]\d{3}", small[numeral.start : numeral.end]):
        value = _number(small[numeral.start : numeral.end], "")
    return Numeral(value, start, end, currency, numeral.in_words)


def _with_cents(found: list[Numeral], small: str) -> list[Numeral]:
    """ "Ninety-nine euros ninety" is one amount."""
    joined: list[Numeral] = []
    for each in found:
        before = joined[-1] if joined else None
        if (
            before is not None
            and before.currency
            and before.value.is_integer()
            and (each.in_words and not each.currency and each.value.is_integer() and 0 < each.value < 100)
            and re.fullmatch(r"\s+(?:and\s+)?", small[before.end : each.start])
        ):
            cents = before.value + each.value / 100
            joined[-1] = Numeral(cents, before.start, each.end, before.currency, before.in_words)
        else:
            joined.append(each)
    return joined


def _code(name: str) -> str:
    return _CODES.get(name) or next((_CODES[known] for known in _NAMES if is_misspelt(name, known)), "")


def _in_words(small: str, *, pronouns: bool = False) -> list[tuple[int, int, int]]:
    """Numbers in words: value, start, end. `pronouns`: also a "one" that stands for a thing."""
    words = _mended(words_of(small))
    found: list[tuple[int, int, int]] = []
    at = 0
    while at < len(words):
        value, used = _longest(words[at:])
        if not used:
            at += 1
            continue
        first, last = words[at], words[at + used - 1]
        if pronouns or not (used == 1 and first.text == "one" and _stands_for_a_thing(words, at)):
            found.append((value, first.start, last.end))
        at += used
    return found


def _mended(words: list[Word]) -> list[Word]:
    """Words with the misspelt ones mended."""
    return [Word(_MISSPELT.get(each.text, each.text), each.start, each.end) for each in words]


def _stands_for_a_thing(words: list[Word], at: int) -> bool:
    before = words[at - 1].text if at else ""
    behind = words[at + 1].text if at + 1 < len(words) else ""
    return before in _PRONOUN_BEFORE or behind in _PRONOUN_BEHIND


def _longest(words: list[Word]) -> tuple[int, int]:
    """The number that the first words spell, and how many words it takes (0: none)."""
    total, current, used, allowed = 0, 0, 0, 1000
    if words[0].text == "a" and len(words) > 1 and words[1].text in (*_SCALES, *_A_FEW):
        inner, count = _longest([Word("one", words[0].start, words[0].end), *words[1:]])
        return inner, count
    for number, word in enumerate(words, 1):
        text = word.text
        if text in _A_FEW and used <= 1 and current in (0, 1):
            return _A_FEW[text], number
        if text == "and" and used and current % 100 == 0 and current:
            continue
        if text == "oh" and not used:
            return 0, 1
        if text in _UNITS and _UNITS[text] < allowed and (used == 0 or _UNITS[text] > 0):
            current, allowed = current + _UNITS[text], 0
        elif text in _TENS and allowed > 10:
            current, allowed = current + _TENS[text], 10
        elif text == "hundred" and current < 100 and (current or not used):
            current, allowed = max(current, 1) * 100, 100
        elif text == "thousand" and used and 0 < current < 1000:
            total, current, allowed = total + current * 1000, 0, 1000
        else:
            break
        used = number
    return total + current, used
