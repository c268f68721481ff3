"""When a new fact takes the place of an old one. English, by rules that can be read.

Two facts are at odds when they are about something that has one value at a time ("I live in Leeds", "we moved to
York"), when one denies the other ("I have a car", "I don't have a car any more"), or when they differ in a count only
("we have two cats", "we have three cats"). Numbers of things, such as orders, are no counts: there can be several. The
rules would rather miss a contradiction than drop a fact: what is missed stands beside the newer fact.
"""

from __future__ import annotations

import re
from typing import Final

from agentkit.memory.words import stem

_HOME: Final = r"\b(?:live|lives|living|moved|relocated)\s+(?:(?:now|back|over)\s+)?(?:in|to)\b"
_NAME: Final = r"\b(?:call|address)\s+me\b|\bmy\s+name(?:'s|\s+is)\b|\b(?:I'm|I\s+am)\s+called\b"
_EMPLOYER: Final = r"\bwork(?:s|ing)?\s+(?:now\s+)?(?:at|for)\b"
_JOB: Final = r"\bwork(?:s|ing)?\s+(?:now\s+)?as\b"
_AGE: Final = r"\b(?:I'm|I\s+am)\s+(?:now\s+)?\d{1,3}(?:\s+years\s+old)?\s*[.!]?$"
_CONTACT: Final = (
    r"\b(?:prefer|rather)\b.*"
    r"\b(?:e-?mail|phone|call|called|calls|text|texts|sms|letter|post|contacted|reached)\b"
)
_SINGLE: Final = (
    r"\bmy\s+((?:(?:new|current|e-?mail|phone|mobile|home|work|shoe|customer|first|last|favourite|favorite|preferred)\s+)*"
    r"(?:name|surname|e-?mail|phone|mobile|number|address|postcode|birthday|age|height|weight|size|language|job|employer|"
    r"(?<=favourite\s)\w+|(?<=favorite\s)\w+|(?<=preferred\s)\w+))(?:'s|\s+(?:is|was|changed|has\s+changed)\b)"
)
_SUBJECTS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), subject)
    for pattern, subject in (
        (_NAME, "name"),
        (_HOME, "home"),
        (_EMPLOYER, "employer"),
        (_JOB, "job"),
        (_AGE, "age"),
        (_CONTACT, "contact"),
    )
)
_OWN: Final = re.compile(_SINGLE, re.IGNORECASE)
_QUALIFIERS: Final = re.compile(r"\b(?:new|current)\s+", re.IGNORECASE)

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_DENYING: Final = frozenset(_WORD.findall("not no never cannot none neither without"))
_PASSING_WORDS: Final = frozenset(
    _WORD.findall(
        "a an the any more anymore now longer still again do does did am is are was were be been currently today "
        "actually just have has had got used to"
    )
)
_COUNT_WORDS: Final = _WORD.findall("one two three four five six seven eight nine ten eleven twelve")
_LARGEST_COUNT: Final = 99
_NAMES_A_THING: Final = frozenset(
    _WORD.findall("order number no nr invoice ticket case customer account parcel booking id")
)


def subject_of(fact: str) -> str:
    """What a fact is about, where that has one value at a time; empty otherwise.

    Args:
        fact: One statement.
    """
    text = fact.replace("’", "'")
    for pattern, subject in _SUBJECTS:
        if pattern.search(text):
            return subject
    own = _OWN.search(text)
    what = " ".join(_QUALIFIERS.sub("", own[1]).casefold().split()) if own else ""
    return "home" if what in ("address", "home address") else what


def at_odds(fact: str, other: str) -> bool:
    """Whether one of two facts denies the other, or gives another count.

    Args:
        fact: One statement.
        other: Another one.
    """
    (words, denies, counts), (other_words, other_denies, other_counts) = _read(fact), _read(other)
    if not words or words != other_words:
        return False
    return denies != other_denies or counts != other_counts


def _read(fact: str) -> tuple[list[str], bool, list[int]]:
    """The words that carry meaning, with `#` for a count; whether they are denied; the counts."""
    words: list[str] = []
    counts: list[int] = []
    denies = False
    before = ""
    for word in _WORD.findall(fact.replace("’", "'").casefold()):
        if word in _DENYING or word.endswith("n't"):
            denies = not denies
            continue
        word = word.partition("'")[0]  # "I'm": what is left of it passes
        if (count := _count(word)) is not None and before not in _NAMES_A_THING:
            words.append("#")
            counts.append(count)
        elif word not in _PASSING_WORDS:
            words.append(stem(word))
        before = word
    return words, denies, counts


def _count(word: str) -> int | None:
    if word in _COUNT_WORDS:
        return _COUNT_WORDS.index(word) + 1
    return int(word) if word.isdecimal() and int(word) <= _LARGEST_COUNT else None
