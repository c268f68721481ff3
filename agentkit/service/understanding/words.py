"""Words of a message with their places, and which of them are misspelt forms of a known word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SHORTEST: Final = 5
"""Letters of a word from which one slip of the finger is forgiven; shorter words have too many neighbours."""
_LONG: Final = 8
"""Letters of a word from which two are forgiven."""


@dataclass(frozen=True)
class Word:
    """A word in small letters, and where it stands in the message (`end` is behind it)."""

    text: str
    start: int
    end: int


def lowered(text: str) -> str:
    """The text in small letters with straight apostrophes, every character at its place."""
    small = "".join(low if len(low := each.lower()) == 1 else each for each in text)
    return small.replace("’", "'").replace("‘", "'")


def words_of(text: str) -> list[Word]:
    """All words and numbers of a text."""
    return [Word(each.group(), each.start(), each.end()) for each in _WORD.finditer(lowered(text))]


def is_misspelt(word: str, known: str) -> bool:
    """Whether `word` is `known` with as many slips as its length allows; the first letter is right."""
    if word == known:
        return True
    length = len(known)
    if length < _SHORTEST or word[:1] != known[:1]:
        return False
    most = 2 if length >= _LONG else 1
    return abs(len(word) - length) <= most and slips(word, known) <= most


def slips(first: str, second: str) -> int:
    """Letters that are wrong, missing, too many, or swapped with their neighbour (optimal string alignment)."""
    rows = [list(range(len(second) + 1))]
    for i, letter in enumerate(first, 1):
        row = [i]
        for j, other in enumerate(second, 1):
            cost = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


@dataclass(frozen=True)
class Respelled:
    """A message whose known words are spelt as they should be, so that a pattern finds them.

    Args:
        text: In small letters, misspelt and short forms replaced.
        places: For each character of `text` the place in the message that it stands for, and one more for the end.
    """

    text: str
    places: tuple[tuple[int, int], ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a piece of `text` stands in the message."""
        return self.places[start][0], self.places[end - 1][1]


def respelled(text: str, known: Iterable[str], short: Mapping[str, str]) -> Respelled:
    """Spell the words of a text as they should be.

    Args:
        text: The message.
        known: Words whose misspelt forms are corrected.
        short: Short and other forms, and what they stand for.
    """
    small = lowered(text)
    vocabulary = tuple(known)
    pieces: list[str] = []
    places: list[tuple[int, int]] = []
    at = 0
    for word in words_of(text):
        right = short.get(word.text) or next((k for k in vocabulary if is_misspelt(word.text, k)), word.text)
        between = small[at : word.start]
        pieces += [between, right]
        places += [(at + i, at + i + 1) for i in range(len(between))]
        same = right == word.text
        places += [
            (word.start + i, word.start + i + 1) if same else (word.start, word.end)
            for i in range(len(right))
        ]
        at = word.end
    pieces.append(small[at:])
    places += [(at + i, at + i + 1) for i in range(len(small) - at)]
    return Respelled("".join(pieces), tuple(places))
