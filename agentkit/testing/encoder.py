"""An encoder without weights: texts with common words and pieces of words get similar vectors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

_WORD: Final = re.compile(r"\w+")
_PIECE: Final = 4  # characters of a piece: misspelt words share most of their pieces
_PIECE_WEIGHT: Final = 0.3


class HashingEncoder:
    """Encoder that counts hashed words and character pieces; deterministic on every machine.

    Args:
        dimension: Length of a vector; fewer collisions the larger it is.
    """

    def __init__(self, dimension: int = 256) -> None:
        self.dimension = dimension
        self.id = f"hashing-{dimension}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder`."""
        matrix = numpy.zeros((len(texts), self.dimension), dtype=numpy.float32)
        for row, text in enumerate(texts):
            for feature, weight in _features(text):
                digest = hashlib.blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest()
                number = int.from_bytes(digest, "big")
                sign = 1.0 if number & 1 else -1.0
                matrix[row, (number >> 1) % self.dimension] += sign * weight
            length = float(numpy.linalg.norm(matrix[row]))
            if length > 0:
                matrix[row] /= length
            else:
                matrix[row, 0] = 1.0  # a text without a feature has a vector of length 1, too
        return matrix

    def close(self) -> None:
        """See `Encoder`."""


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in _WORD.findall(text.casefold()):
        yield word, 1.0
        padded = f"<{word}>"
        for start in range(len(padded) - _PIECE + 1):
            yield f"#{padded[start : start + _PIECE]}", _PIECE_WEIGHT
