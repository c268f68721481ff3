"""Values of a slot in a user's words: each with the piece of the message that it was read from.

Nothing else can ever become the value of a slot: rules choose among these, and so does the generator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Final

from pydantic import JsonValue

from agentkit.service.sketch import SlotSketch
from agentkit.service.understanding.dates import named_days
from agentkit.service.understanding.numerals import DIGIT_WORDS, Numeral, numerals_of, spoken_digits
from agentkit.service.understanding.words import Word, is_misspelt, lowered, words_of

_CHUNK: Final = re.compile(r"[^\W\d_]+|\d+")
_MOST_CHUNKS: Final = 8
_JOINTS: Final = re.compile(r"[ -]?|\s-\s")
_EVERYDAY: Final = (
    "a am an and are as at be by do for go has he i if in is it me my no not nr of on or our so the then to up us was "
    "we with you"
)
_NO_LETTERS_OF_A_CODE: Final = frozenset(_EVERYDAY.split())


@dataclass(frozen=True)
class Candidate:
    """A value that a message may give to a slot.

    Args:
        slot: The slot.
        value: The value.
        start: Where its words begin in the message.
        end: Behind them.
        doubtful: The words could well mean something else (a bare number as an amount).
    """

    slot: SlotSketch
    value: JsonValue
    start: int
    end: int
    doubtful: bool = False

    def overlaps(self, other: Candidate) -> bool:
        """Whether the two were read from the same words."""
        return self.start < other.end and other.start < self.end


def candidates_of(slot: SlotSketch, text: str, today: date, language: str = "en") -> list[Candidate]:
    """The values that a text holds for a slot, in their order; words that no rule reads are none.

    Args:
        slot: The slot; free texts have no candidates here, and a mere yes or no is none.
        text: The message.
        today: What days are counted from.
        language: See `Situation`.
    """
    match slot.type:
        case "text":
            return [Candidate(slot, *each) for each in _patterned(slot, text)] if slot.pattern else []
        case "date":
            days = named_days(text, today, language, past=slot.past)
            return [Candidate(slot, d.day.isoformat(), d.start, d.end, d.doubtful) for d in days]
        case "amount":
            return [
                Candidate(slot, n.value, n.start, n.end, not n.currency and not _has_cents(text, n))
                for n in numerals_of(text, language, money=True)
                if not n.currency or not slot.currency or n.currency == slot.currency
            ]
        case "integer" | "number":
            return [
                Candidate(slot, int(n.value) if slot.type == "integer" else n.value, n.start, n.end, True)
                for n in numerals_of(text, language)
                if not n.currency and (n.value.is_integer() or slot.type == "number")
            ]
        case "choice":
            return list(_chosen(slot, text))
        case "boolean":
            return list(_with_or_without(slot, text))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A pattern as a whole, and as whole words of a text: 1042 is found neither in 10425 nor in A-1042."""
    body = pattern.removeprefix("^").removeprefix(r"\A")
    body = body.removesuffix(r"\Z") if body.endswith(r"\Z") else body
    body = body[:-1] if body.endswith("$") and not body.endswith(r"\$") else body
    return re.compile(rf"(?:{body})"), re.compile(rf"(?<!\w)(?<!\w-)(?:{body})(?!\w)(?!-\w)")


def _patterned(slot: SlotSketch, text: str) -> list[tuple[str, int, int]]:
    """Pieces that match the pattern of a slot: as written, in other case, put together, or in number words."""
    whole, within = _compiled(slot.pattern)
    for form in (text, _same_length(text, text.upper()), _same_length(text, text.lower())):
        if found := [(each.group(), each.start(), each.end()) for each in within.finditer(form)]:
            return [each for each in found if each[1] < each[2]]
    if found := list(_joined(slot, text, whole)):
        return found
    return [each for each in spoken_digits(text) if whole.fullmatch(each[0])]


def _same_length(text: str, changed: str) -> str:
    return changed if len(changed) == len(text) else text


def _joined(slot: SlotSketch, text: str, whole: re.Pattern[str]) -> Iterator[tuple[str, int, int]]:
    """Runs of letters and digits that match when they are put together: "10 42", "ab-123", "h20331"."""
    found_chunks = [(each.group(), each.start(), each.end()) for each in _CHUNK.finditer(text)]
    chunks = [(DIGIT_WORDS.get(piece.lower(), piece), start, end) for piece, start, end in found_chunks]
    at = 0
    while at < len(chunks):
        found = next(
            (
                (value, until)
                for until in range(min(len(chunks), at + _MOST_CHUNKS), at, -1)
                if _stands_alone(slot, chunks, at, until, text)
                and (value := _put_together(chunks[at:until], whole)) is not None
            ),
            None,
        )
        if found is None:
            at += 1
            continue
        yield found[0], chunks[at][1], chunks[found[1] - 1][2]
        at = found[1]


def _stands_alone(
    slot: SlotSketch, chunks: list[tuple[str, int, int]], first: int, until: int, text: str
) -> bool:
    """Whether a run has no digits beside it that it would leave out, and holds no everyday words."""
    run = chunks[first:until]
    if any(not _JOINTS.fullmatch(text[left[2] : right[1]]) for left, right in pairwise(run)):
        return False
    if any(each.islower() and each in _NO_LETTERS_OF_A_CODE for each, _, _ in run[:1] + run[1:]):
        return False
    if first:
        before, _, end = chunks[first - 1]
        between = text[end : run[0][1]]
        if before.isdigit() and run[0][0].isdigit() and _JOINTS.fullmatch(between):
            return False
        if not between and not (before.isalpha() and before.lower() in cues_of(slot)):
            return False
        if between == "-" and before.isalpha() and len(before) < 3:
            return False
    if until < len(chunks):
        behind, start, _ = chunks[until]
        between = text[run[-1][2] : start]
        if not between or (behind.isdigit() and run[-1][0].isdigit() and _JOINTS.fullmatch(between)):
            return False
    return True


def _put_together(run: list[tuple[str, int, int]], whole: re.Pattern[str]) -> str | None:
    pieces = [each for each, _, _ in run]
    for joint in ("", "-", " "):
        written = joint.join(pieces)
        for form in (written, written.upper(), written.lower()):
            if whole.fullmatch(form):
                return form
    return None


def cues_of(slot: SlotSketch) -> frozenset[str]:
    """Words that stand beside a value of this slot: those of its name, its description and its question."""
    cues = _content_words(f"{slot.name.replace('_', ' ')} {slot.description} {slot.asked}")
    return cues if slot.type != "integer" or cues.isdisjoint(_PEOPLE) else cues | _PEOPLE


_PEOPLE: Final = frozenset(("people", "persons", "guests", "adults", "passengers", "us"))


@lru_cache(maxsize=512)
def _content_words(said: str) -> frozenset[str]:
    return frozenset(word.text for word in words_of(said)) - _NO_CUES


_UNTELLING: Final = (
    "a an and are be by can change could day days do does for from give have how i in is it its kind like long many "
    "much need new no of on one or our please should that the their there this to us want was we what when where "
    "whether which who why will with would you your back pay move deliver"
)
_NO_CUES: Final = frozenset(_UNTELLING.split())


def _chosen(slot: SlotSketch, text: str) -> Iterator[Candidate]:
    """Choices that a text names, the longest form first where two share words."""
    words = words_of(text)
    found: list[tuple[int, int, str]] = []
    for choice, others in slot.choices.items():
        for form in (choice.replace("_", " "), *others):
            wanted = [word.text.replace("'", "") for word in words_of(form)]
            found += [(*place, choice) for place in _places(words, wanted)]
    kept: list[tuple[int, int, str]] = []
    for each in sorted(found, key=lambda f: (f[0] - f[1], f[0])):
        if all(each[1] <= other[0] or other[1] <= each[0] for other in kept):
            kept.append(each)
    for start, end, choice in sorted(kept):
        yield Candidate(slot, choice, start, end)


_WITH: Final = r"with|including|include|plus|want|need|add|have"
_WITHOUT: Final = r"without|no|not|don't\s+(?:want|need)|skip"


def _with_or_without(slot: SlotSketch, text: str) -> Iterator[Candidate]:
    """ "With breakfast" and "no breakfast" say yes and no to the slot `breakfast`."""
    name = r"[\s-]+".join(re.escape(word) for word in slot.name.split("_"))
    said = re.compile(
        rf"\b(?:(?P<yes>{_WITH})|(?P<no>{_WITHOUT}))\s+(?:(?:any|the|a|my|our|included)\s+)?{name}\b"
    )
    for match in said.finditer(lowered(text)):
        yield Candidate(slot, match["yes"] is not None, match.start(), match.end())


def _places(words: list[Word], wanted: list[str]) -> Iterator[tuple[int, int]]:
    """Where words stand in a text, with slips of the finger, plural forms, or written apart ("check up")."""
    count = len(wanted)
    for at in range(len(words) - count + 1):
        run = words[at : at + count]
        if count and all(_same(word.text, known) for word, known in zip(run, wanted, strict=True)):
            yield run[0].start, run[-1].end
    if count == 1 and len(wanted[0]) > 4:
        for first, second in pairwise(words):
            if first.text + second.text == wanted[0]:
                yield first.start, second.end


def _same(word: str, known: str) -> bool:
    word = word.replace("'", "")
    return word in (known, f"{known}s", f"{known}es") or is_misspelt(word, known)


def _has_cents(text: str, numeral: Numeral) -> bool:
    """Whether a number is written like money: 64,20."""
    return re.search(r"[.,]\d\d$", text[numeral.start : numeral.end]) is not None


def piece(text: str, candidate: Candidate) -> str:
    """The words that a candidate was read from."""
    return text[candidate.start : candidate.end]


def names_a_day_or_money(text: str, today: date, language: str) -> list[tuple[int, int]]:
    """Places of days and of amounts with a currency: no part of them is an order number."""
    days = [(each.start, each.end) for each in named_days(text, today, language) if not each.doubtful]
    money = [(each.start, each.end) for each in numerals_of(text, language) if each.currency]
    return days + money
