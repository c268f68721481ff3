"""The chunks nearest in meaning: exact, by comparing the question with every vector of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy
from numpy.typing import NDArray

from agentkit.store.protocol import KnowledgeTable

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors


class VectorSearch(Protocol):
    """Finds chunks by their vectors; what the table no longer holds is never found."""

    def prepare(self) -> None:
        """Read what a search needs, so that the first one does not have to."""
        ...

    def nearest(self, vector: Vectors, count: int, tags: Sequence[str] = ()) -> dict[int, float]:
        """The `count` most similar chunks, best first, with their cosine similarities.

        Args:
            vector: float32 [dimension], length 1.
            count: At most so many.
            tags: Only of documents that have one of these, if there are any.
        """
        ...

    def similarities(self, vector: Vectors, ids: Sequence[int]) -> dict[int, float]:
        """The cosine similarities of these chunks; those that are gone or have no vector are left out."""
        ...


class ExactVectors:
    """Implements `VectorSearch` over a matrix in memory. Threads may share it.

    A chunk never changes and its id is never used again, so after a write only what is new is read.

    Args:
        table: Where the vectors are.
        encoder_id: Whose vectors.
    """

    def __init__(self, table: KnowledgeTable, encoder_id: str) -> None:
        self._table = table
        self._encoder_id = encoder_id
        # Version of the table, ids of the chunks, ascending, and their vectors: one value, so that threads see them
        # together.
        self._cached: tuple[int, NDArray[numpy.int64], Vectors] | None = None

    def prepare(self) -> None:
        """See `VectorSearch`."""
        self._current()

    def nearest(self, vector: Vectors, count: int, tags: Sequence[str] = ()) -> dict[int, float]:
        """See `VectorSearch`."""
        ids, matrix = self._current()
        if tags:
            wanted = numpy.isin(ids, self._table.chunk_ids(self._encoder_id, tags))
            ids, matrix = ids[wanted], matrix[wanted]
        return best_of(ids, dot_products(matrix, vector), count) if len(ids) else {}

    def similarities(self, vector: Vectors, ids: Sequence[int]) -> dict[int, float]:
        """See `VectorSearch`."""
        known, matrix = self._current()
        wanted = numpy.asarray(ids, dtype=numpy.int64)
        rows = numpy.searchsorted(known, wanted)
        there = rows < len(known)
        there[there] = known[rows[there]] == wanted[there]
        rows, wanted = rows[there], wanted[there]
        if not len(rows):
            return {}
        return dict(zip(wanted.tolist(), dot_products(matrix[rows], vector).tolist(), strict=True))

    def _current(self) -> tuple[NDArray[numpy.int64], Vectors]:
        version = self._table.version()
        cached = self._cached
        if cached is None or cached[0] != version:
            cached = (version, *self._read(cached))
            self._cached = cached
        return cached[1], cached[2]

    def _read(
        self, cached: tuple[int, NDArray[numpy.int64], Vectors] | None
    ) -> tuple[NDArray[numpy.int64], Vectors]:
        if cached is None or not len(cached[1]):
            ids, matrix = self._table.chunk_vectors(self._encoder_id)
            return numpy.asarray(ids, dtype=numpy.int64), matrix
        _, known, matrix = cached
        new, vectors = self._table.chunk_vectors(self._encoder_id, after=int(known[-1]))
        still = numpy.isin(known, self._table.chunk_ids(self._encoder_id))
        if new:
            added = numpy.asarray(new, dtype=numpy.int64)
            return numpy.concatenate([known[still], added]), numpy.concatenate([matrix[still], vectors])
        return known[still], matrix[still]


def dot_products(matrix: Vectors, vector: Vectors) -> Vectors:
    """float32 [n, dimension] times float32 [dimension]: [n].

    Not `@`: its threads stall for milliseconds where cores are busy.
    """
    products: Vectors = numpy.vecdot(matrix, vector)
    return products


def best_of(ids: NDArray[numpy.int64], scores: Vectors, count: int) -> dict[int, float]:
    """The `count` largest scores by id, best first; of equal ones the smaller id first.

    Args:
        ids: [n], ascending.
        scores: float32 [n].
        count: At most so many.
    """
    count = min(max(count, 0), len(ids))
    rows = numpy.arange(len(ids))
    if count < len(ids):
        # All that reach the score of the last one wanted: those of equal score must not depend on the partition.
        least = numpy.partition(scores, len(ids) - count)[len(ids) - count] if count else numpy.inf
        rows = numpy.flatnonzero(scores >= least)
    rows = rows[numpy.argsort(-scores[rows], kind="stable")][:count]
    return {int(ids[row]): float(scores[row]) for row in rows}
