"""The words of one user's memories: how much of a query each memory says, by BM25 over that user alone.

The index lives in memory and holds the memories of one user only, so that nothing about the words of others can be
read from an order of results, and so that no copy of a text lies in the file beside the text itself.

Score: BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) divided by the most that a text
could get for the query. 1: it says every word of the query, and more than once; 0: none of them.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy

if TYPE_CHECKING:
    from agentkit.store.records import Vectors

_SATURATION: Final = 1.2  # k1: what a second occurrence adds
_LENGTH: Final = 0.75  # b: how far a long text counts less
_WORD: Final = re.compile(r"[^\W_]+")
_VOWELS: Final = frozenset("aeiouy")
_ENDINGS: Final = ("ing", "ed", "er", "ly")

_EMPTY_WORDS: Final = frozenset(
    _WORD.findall(
        "a an the and or of to in on at for with from by is are was were be been do does did has have had what when "
        "where who which how why would could should will can may might it its this that these those i you he she they "
        "we me him her them us my your his their our as than then so not no"
    )
)
"""English words that say nothing about what a text is about."""


def stem(word: str) -> str:
    """A word without its ending, so that "painted" and "paintings" meet; English, and harmless elsewhere.

    Harman's S-stemmer ("How effective is suffixing?", 1991), then one of four endings where a vowel is left.

    Args:
        word: In lower case.
    """
    word = _singular(word)
    for ending in _ENDINGS:
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= 3 and not _VOWELS.isdisjoint(rest):
            doubled = len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lsz"
            word = rest[:-1] if doubled else rest
            break
    if len(word) > 3 and word[-1] == "e":
        word = word[:-1]
    if len(word) > 3 and word[-1] == "y":
        word = word[:-1] + "i"
    return word


def _singular(word: str) -> str:
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    # "-es" loses its s here and its e with the other endings.
    kept = ("aes", "ees", "oes") if word.endswith("es") else ("us", "ss")
    return word[:-1] if word.endswith("s") and not word.endswith(kept) else word


class WordIndex:
    """Texts, found by the words that they say. It only grows; one thread at a time."""

    def __init__(self) -> None:
        self._rows: dict[str, array[int]] = {}
        self._counts: dict[str, array[int]] = {}
        self._lengths: array[float] = array("f")
        self._total = 0.0
        self._stems: dict[str, str] = {}

    def __len__(self) -> int:
        """How many texts there are."""
        return len(self._lengths)

    def add(self, texts: Iterable[str]) -> None:
        """Take texts in; they are numbered from 0 in the order in which they come."""
        for text in texts:
            row = len(self._lengths)
            words = self._words(text)
            self._lengths.append(len(words))
            self._total += len(words)
            for word, count in Counter(words).items():
                if word not in self._rows:
                    self._rows[word], self._counts[word] = array("I"), array("I")
                self._rows[word].append(row)
                self._counts[word].append(count)

    def coverage(self, query: str) -> Vectors:
        """How much of a query each text says.

        Args:
            query: Any text.

        Returns:
            float32 [texts], 0 to 1.
        """
        count = len(self._lengths)
        found = numpy.zeros(count, dtype=numpy.float32)
        words = set(self._words(query))
        if not count or not words:
            return found
        lengths = numpy.array(self._lengths, dtype=numpy.float32)
        average = max(self._total / count, 1.0)
        most = 0.0
        for word in sorted(words):
            rows = numpy.array(self._rows.get(word, ()), dtype=numpy.intp)
            weight = math.log(1 + (count - len(rows) + 0.5) / (len(rows) + 0.5))
            most += weight * (_SATURATION + 1)
            if len(rows):
                times = numpy.array(self._counts[word], dtype=numpy.float32)
                damped = _SATURATION * (1 - _LENGTH + _LENGTH * lengths[rows] / average)
                found[rows] += weight * times * (_SATURATION + 1) / (times + damped)
        return found / numpy.float32(most)

    def _words(self, text: str) -> list[str]:
        words = (word for word in _WORD.findall(text.casefold()) if word not in _EMPTY_WORDS)
        return [self._stem(word) for word in words]

    def _stem(self, word: str) -> str:
        known = self._stems.get(word)
        if known is None:
            known = self._stems[word] = stem(word)
        return known
