"""What the letters of a message say beside its meaning: hashed n-grams of characters and words.

    n-grams -> weights log((1 + n) / (1 + documents with it)) + 1 -> two signed places of 512 each -> length 1

An encoder reads "blance" as pieces of other words; its letters are still those of "balance". The places are a count
sketch (Charikar et al. 2002, "Finding frequent items in data streams"), which keeps inner products on average, so no
list of n-grams is stored, only how rare each hash is. Figures: `dev/log.md`.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy

if TYPE_CHECKING:
    from agentkit.intents.head import Floats, Integers

WIDTH: Final = 512
"""Dimension of a lexical vector."""
BUCKETS: Final = 1 << 15
"""Hashes whose rarity is told apart."""

_WORD: Final = re.compile(r"\w+")
_LENGTHS: Final = (2, 3, 4)  # characters of an n-gram inside a word
_MOST_CHARACTERS: Final = 1000  # of a message; an encoder reads about as much
# Odd multipliers (Knuth's, and one more), so that the two places of an n-gram differ.
_PLACES: Final = ((2654435761, 0), (2654516767, 97))


@dataclass(frozen=True, eq=False)
class Lexicon:
    """How rare each n-gram is.

    Args:
        rarity: float32 [BUCKETS], inverse document frequency by hash.
    """

    rarity: Floats

    def encode(self, texts: Sequence[str]) -> Floats:
        """float32 [n, WIDTH], length 1; zero for a text without letters and digits."""
        found = numpy.zeros((len(texts), WIDTH), dtype=numpy.float32)
        for row, text in enumerate(texts):
            hashes = _hashes(text)
            weight = self.rarity[hashes % BUCKETS]
            for factor, shift in _PLACES:
                mixed = (hashes * factor + shift) & 0xFFFFFFFF
                sign = 1.0 - 2.0 * ((mixed >> 5) & 1)
                found[row] += numpy.bincount((mixed >> 7) % WIDTH, weight * sign, minlength=WIDTH)
        length = numpy.linalg.norm(found, axis=1, keepdims=True)
        return numpy.asarray(found / numpy.maximum(length, 1e-9), dtype=numpy.float32)


def fit_lexicon(texts: Sequence[str]) -> Lexicon:
    """Count in how many of the texts each n-gram occurs."""
    documents = numpy.zeros(BUCKETS, dtype=numpy.int64)
    for text in texts:
        documents[numpy.unique(_hashes(text) % BUCKETS)] += 1
    return Lexicon((numpy.log((1 + len(texts)) / (1 + documents)) + 1).astype(numpy.float32))


def _hashes(text: str) -> Integers:
    """Hashes of the different n-grams of a text: words, pairs of words, and pieces of words with their ends."""
    words = _WORD.findall(text[:_MOST_CHARACTERS].casefold())
    grams = {*words, *(f"{one} {two}" for one, two in itertools.pairwise(words))}
    for word in words:
        framed = f"<{word}>"
        grams.update(f"#{framed[at : at + n]}" for n in _LENGTHS for at in range(len(framed) - n + 1))
    # Sorted: sums of float32 depend on their order, and a set has none.
    hashes = sorted(zlib.crc32(gram.encode("utf-8", "surrogatepass")) for gram in grams)
    return numpy.array(hashes, dtype=numpy.int64)
