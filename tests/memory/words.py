"""An encoder for tests that needs no weights: texts with common words are near."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray


class WordEncoder:
    """The sum of one fixed random direction for each word, of length 1.

    Args:
        name: Two encoders of different names give different vectors.
        dimension: Length of a vector.
    """

    def __init__(self, name: str = "words", dimension: int = 64) -> None:
        self.id = name
        self.dimension = dimension
        self.encoded = 0

    def encode(self, texts: Sequence[str]) -> NDArray[numpy.float32]:
        self.encoded += len(texts)
        rows = [self._vector(text) for text in texts]
        return numpy.array(rows, dtype=numpy.float32).reshape(len(rows), self.dimension)

    def close(self) -> None:
        pass

    def _vector(self, text: str) -> NDArray[numpy.float64]:
        total = numpy.full(self.dimension, 1e-6)
        for word in re.findall(r"\w+", text.casefold()):
            seed = hashlib.sha256(f"{self.id} {word}".encode()).digest()[:8]
            total += numpy.random.default_rng(int.from_bytes(seed)).normal(size=self.dimension)
        return total / float(numpy.linalg.norm(total))
