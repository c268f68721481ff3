"""The chunks nearest in meaning of a very large collection: a graph (HNSW) in a file, made from the database.

The database stays the source of truth. The graph only proposes chunks: their vectors are then read from the database,
so every similarity is exact and what is gone is never found. The file is made anew where it is missing, damaged or
belongs to other vectors, and follows the database where that has grown.

Malkov and Yashunin 2016, arXiv 1603.09320; the implementation is usearch (extra `ann`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy
from numpy.typing import NDArray
from pydantic import ValidationError

from agentkit.knowledge.vectors import ExactVectors, VectorSearch, best_of, dot_products
from agentkit.messages import Value
from agentkit.models.paths import cache_folder
from agentkit.models.progress import Progress, Silent, task
from agentkit.store.protocol import KnowledgeTable

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

WORTH_A_GRAPH: Final = 100_000
"""Chunks from which on the graph is used: below, comparing all vectors takes less than 15 ms (dev/log.md)."""

_ADDING: Final = 64
"""Candidates that are kept while a chunk is added: 128, the library's choice, takes twice as long for little recall."""
_LEAST_CANDIDATES: Final = 200
_CHUNKS_A_CANDIDATE: Final = 1_000
_MOST_CANDIDATES: Final = 2_000
_MORE: Final = 2
"""Times as many chunks as are wanted are proposed: the graph's own numbers have 8 bits, exact ones order them anew."""
_MOST_GONE: Final = 0.1
"""Share of the graph that may be chunks that are gone; they cost a place among what is proposed."""
_BLOCK: Final = 10_000
_SAMPLE: Final = 64
_CHECKED: Final = 10
_ITSELF: Final = 1e-3
"""Cosine distance to the nearest chunk from which on a chunk did not find itself, nor one with the same words."""
_FORMAT: Final = "1"

_log = logging.getLogger("agentkit.knowledge")


class _About(Value):
    """What the file beside a graph says of it.

    Args:
        format: Of both files and the version of the library.
        sha256: Of the graph's file, which is read by code that trusts it.
        sample: Ids of some chunks and SHA-256 of their vectors: those of another database are others.
    """

    format: str
    sha256: str
    sample: tuple[tuple[int, str], ...]


def vector_search(
    table: KnowledgeTable, encoder_id: str, database: Path, progress: Progress | None = None
) -> VectorSearch:
    """Exact search, and where `usearch` is installed the graph for very large collections.

    Args:
        table: Where the vectors are.
        encoder_id: Whose vectors.
        database: The file of the table; the graph of another file is another one.
        progress: Told how far the graph is, which takes minutes.
    """
    exact = ExactVectors(table, encoder_id)
    if importlib.util.find_spec("usearch") is None:
        return exact
    name = hashlib.sha256(f"{database.resolve()} {encoder_id}".encode()).hexdigest()[:32]
    return IndexedVectors(table, encoder_id, exact, cache_folder() / "graphs" / f"{name}.usearch", progress)


class IndexedVectors:
    """Implements `VectorSearch`: by a graph; exactly for small collections and by tag. Threads may share it.

    Args:
        table: Where the vectors are.
        encoder_id: Whose vectors.
        exact: Searches what is small.
        file: Where the graph is kept, and beside it, as `.json`, what it was made from.
        progress: Told how far the graph is.
        least: Chunks from which on the graph is used.
    """

    def __init__(
        self,
        table: KnowledgeTable,
        encoder_id: str,
        exact: ExactVectors,
        file: Path,
        progress: Progress | None = None,
        least: int = WORTH_A_GRAPH,
    ) -> None:
        self._table = table
        self._encoder_id = encoder_id
        self._exact = exact
        self._file = file
        self._progress = progress or Silent()
        self._least = least
        self._lock = threading.Lock()
        self._version: int | None = None
        self._graph: Any = None

    def prepare(self) -> None:
        """See `VectorSearch`."""
        with self._lock:
            graph = self._current()
        if graph is None:
            self._exact.prepare()

    def nearest(self, vector: Vectors, count: int, tags: Sequence[str] = ()) -> dict[int, float]:
        """See `VectorSearch`."""
        with self._lock:
            graph = None if tags else self._current()
        if graph is None:
            return self._exact.nearest(vector, count, tags)
        wanted = _MORE * max(count, 0)
        while wanted:
            with self._lock:  # not while another thread adds to it
                proposed = graph.search(vector, min(wanted, len(graph)), threads=1).keys
            ids, vectors = self._table.vectors_of(sorted(proposed.tolist()), self._encoder_id)
            if len(ids) >= count or wanted >= len(graph):
                scores = dot_products(vectors, vector)
                return best_of(numpy.asarray(ids, dtype=numpy.int64), scores, count) if ids else {}
            wanted *= 4  # much of what was proposed is gone
        return {}

    def similarities(self, vector: Vectors, ids: Sequence[int]) -> dict[int, float]:
        """See `VectorSearch`."""
        with self._lock:
            graph = self._current()
        if graph is None:
            return self._exact.similarities(vector, ids)
        found, vectors = self._table.vectors_of(ids, self._encoder_id)
        if not found:
            return {}
        return dict(zip(found, dot_products(vectors, vector).tolist(), strict=True))

    def _current(self) -> Any:
        """The graph of what the table holds now; None where that is little."""
        version = self._table.version()
        if version != self._version:
            ids = numpy.asarray(self._table.chunk_ids(self._encoder_id), dtype=numpy.int64)
            self._graph = self._following(ids) if len(ids) >= self._least else None
            self._version = version
        return self._graph

    def _following(self, ids: NDArray[numpy.int64]) -> Any:
        graph, why = (self._graph, "") if self._graph is not None else self._loaded()
        known = numpy.asarray(graph.keys, dtype=numpy.int64) if graph is not None else ids[:0]
        if graph is not None and (~numpy.isin(known, ids)).sum() > _MOST_GONE * len(ids):
            graph, known, why = None, ids[:0], "much of it is gone"
        new = ids[~numpy.isin(ids, known)]
        if not len(new):
            return graph
        asked = _Asked(self._sampled(ids)[1]) if graph is None else None
        graph = self._grown(graph, new, asked)
        if asked is not None:
            _log.warning(
                "A graph of %d chunks was made (%s); it finds %.1f %% of the nearest ten: %s",
                *(len(ids), why, 100 * asked.found_by(graph), self._file),
            )
        self._save(graph, ids)
        return graph

    def _sampled(self, ids: NDArray[numpy.int64]) -> tuple[tuple[int, ...], Vectors]:
        places = numpy.linspace(0, len(ids) - 1, min(_SAMPLE, len(ids))).astype(int)
        return self._table.vectors_of(ids[places].tolist(), self._encoder_id)

    def _grown(self, graph: Any, new: NDArray[numpy.int64], asked: _Asked | None) -> Any:
        with task(self._progress, "Indexing the knowledge", len(new), "chunks"):
            for at in range(0, len(new), _BLOCK):
                block = new[at : at + _BLOCK].tolist()
                ids, vectors = self._table.vectors_of(block, self._encoder_id)
                if ids:
                    graph = _empty(vectors.shape[1]) if graph is None else graph
                    _add(graph, numpy.asarray(ids, dtype=numpy.uint64), vectors)
                    if asked is not None:
                        asked.compare(ids, vectors)
                self._progress.advance(len(block))
        return graph

    def _loaded(self) -> tuple[Any, str]:
        """The graph of the file, or None and why not."""
        from usearch.index import Index

        try:
            about = _About.model_validate_json(self._beside().read_bytes())
            if about.format != _format():
                return None, "that in the file is of another version"
            with self._file.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != about.sha256:
                    return None, "the file is damaged"
            sample = dict(about.sample)
            ids, vectors = self._table.vectors_of(list(sample), self._encoder_id)
            if any(_digest(vector) != sample[each] for each, vector in zip(ids, vectors, strict=True)):
                return None, "the file belongs to another database"
            graph: Any = Index.restore(self._file, expansion_add=_ADDING)
            if graph is None:
                return None, "the file is damaged"
            graph.expansion_search = candidates(len(graph))
            return graph, ""
        except FileNotFoundError:
            return None, "there is none yet"
        except (OSError, ValidationError) as error:
            return None, f"the file cannot be read: {type(error).__name__}"

    def _save(self, graph: Any, ids: NDArray[numpy.int64]) -> None:
        fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}.partial")
        found, vectors = self._sampled(ids)
        sample = tuple((each, _digest(vector)) for each, vector in zip(found, vectors, strict=True))
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                graph.save(fresh)
                with fresh.open("rb") as stream:
                    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                about = _About(format=_format(), sha256=sha256, sample=sample)
                fresh.replace(self._file)
                fresh.write_text(about.model_dump_json(), encoding="utf-8")
                fresh.replace(self._beside())
            finally:
                fresh.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:  # the library has no other error for a full disk
            _log.warning("The graph could not be kept in %s: %s", self._file, error)

    def _beside(self) -> Path:
        return self._file.with_suffix(".json")


class _Asked:
    """What a few chunks have nearest to them, found exactly while the graph is made: its recall.

    Args:
        questions: float32 [n, dimension].
    """

    def __init__(self, questions: Vectors) -> None:
        self._questions = questions
        self._nearest: list[dict[int, float]] = [{} for _ in questions]

    def compare(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Take further chunks into account."""
        rows = numpy.asarray(ids, dtype=numpy.int64)
        for question, nearest in zip(self._questions, self._nearest, strict=True):
            both = nearest | best_of(rows, dot_products(vectors, question), _CHECKED)
            nearest.clear()
            nearest.update(sorted(both.items(), key=lambda each: -each[1])[:_CHECKED])

    def found_by(self, graph: Any) -> float:
        """Share of the nearest ones that a graph proposes."""
        found = 0
        for question, nearest in zip(self._questions, self._nearest, strict=True):
            found += len(nearest.keys() & set(graph.search(question, _MORE * _CHECKED).keys.tolist()))
        return found / sum(map(len, self._nearest))


def candidates(chunks: int) -> int:
    """How many a search keeps: at least twice what `PassageSearch` wants, and more where more are nearly as near.

    Of a million made-up chunks 200 find .85 of the nearest ten, 800 find .94 and take 6 ms instead of 2 (dev/log.md).

    Args:
        chunks: How many the graph holds.
    """
    return min(max(_LEAST_CANDIDATES, chunks // _CHUNKS_A_CANDIDATE), _MOST_CANDIDATES)


def _empty(dimension: int) -> Any:
    from usearch.index import Index

    return Index(ndim=dimension, metric="cos", dtype="i8", expansion_add=_ADDING)


def _add(graph: Any, ids: NDArray[numpy.uint64], vectors: Vectors) -> None:
    graph.add(ids, vectors)
    # Where its threads have to wait for a processor, the library sometimes leaves chunks that no other leads to.
    graph.expansion_search = _ADDING
    # Of a single vector the library gives [1], of several [n, 1].
    lost = graph.search(vectors, 1).distances.reshape(len(ids)) > _ITSELF
    graph.expansion_search = candidates(len(graph))
    if lost.any():
        graph.remove(ids[lost])
        graph.add(ids[lost], vectors[lost], threads=1)


def _format() -> str:
    import usearch

    return f"{_FORMAT}, usearch {usearch.__version__}"


def _digest(vector: Vectors) -> str:
    return hashlib.sha256(vector.tobytes()).hexdigest()[:32]
