"""Passages by words and by meaning together.

Each way proposes candidates, every candidate gets both scores, and their weighted sum decides. Words find names, codes
and rare terms that an encoder has never seen; meaning finds what is said in other words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import ModelError
from agentkit.events import PassageFound
from agentkit.knowledge.vectors import VectorSearch
from agentkit.ranking import fuse_scores
from agentkit.store.full_text import search_terms
from agentkit.store.protocol import KnowledgeTable

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors
    from agentkit.store.knowledge_records import ChunkRecord

WORDS_WEIGHT: Final = 0.06
"""What a point of BM25 is worth in cosine similarity where a chunk holds every word of the question; with a part of
them it is worth that part less. Chosen on halves of the SciFact train claims, of SQuAD 2.0 questions, of the grounding
cases and of plain questions about the support bot's articles (dev/log.md)."""

_CANDIDATES: Final = 100
"""Chunks that each way proposes, at least."""


class PassageSearch:
    """Hybrid search over the chunks of a collection. Threads may share it.

    Args:
        table: Holds the chunks and finds them by words.
        vectors: Finds them by meaning.
    """

    def __init__(self, table: KnowledgeTable, vectors: VectorSearch) -> None:
        self._table = table
        self._vectors = vectors

    def search(
        self, vector: Vectors, text: str, limit: int, *, tags: Sequence[str] = (), reach: int = 0
    ) -> list[PassageFound]:
        """The passages that fit a question best, best first.

        Args:
            vector: float32 [dimension], the question.
            text: The question.
            limit: At most so many.
            tags: Only from documents that have one of these, if there are any.
            reach: How many chunks before and behind a found one belong to its passage.

        Raises:
            ModelError: The vector holds something else than finite numbers.
        """
        passages: list[PassageFound] = []
        covered: set[tuple[str, int]] = set()
        ranked = self.rank(vector, text, limit, tags=tags)
        scores = dict(ranked)
        for chunk in self._table.chunks([each for each, _ in ranked]):
            if (chunk.document, chunk.seq) in covered:
                continue
            around = self._table.neighbours(chunk, reach) if reach else [chunk]
            around = _joining(chunk, around, covered)
            covered.update((each.document, each.seq) for each in around)
            passages.append(_passage(chunk, around, *scores[chunk.id]))
        return passages[: max(0, limit)]

    def rank(
        self, vector: Vectors, text: str, limit: int, *, tags: Sequence[str] = ()
    ) -> list[tuple[int, tuple[float, float, float]]]:
        """Ids of chunks, best first, each with its score, its similarity and its BM25; arguments as for `search`."""
        if not numpy.isfinite(vector).all():
            raise ModelError(
                "The encoder made a vector that holds something else than finite numbers.",
                hint="Its weights are damaged: remove it from the cache folder and fetch it again.",
            )
        if limit < 1:
            return []
        candidates = max(limit, _CANDIDATES)
        terms = search_terms(text)
        words = dict(self._table.chunks_with_words(terms, candidates, tags))
        near = self._vectors.nearest(vector, candidates, tags)
        near |= self._vectors.similarities(vector, [each for each in words if each not in near])
        words = {each: score for each, score in words.items() if each in near}
        # One word of many says little, whatever it scores: it may be the only one of a passage about something else.
        most = self._table.most_words(terms) if words else 1.0
        telling = {each: score * score / most for each, score in words.items()}
        fused = fuse_scores([near, telling], [1.0, WORDS_WEIGHT])[:limit]
        return [(each, (score, near[each], words.get(each, 0.0))) for each, score in fused]


def _joining(
    chunk: ChunkRecord, around: list[ChunkRecord], covered: set[tuple[str, int]]
) -> list[ChunkRecord]:
    """Those of its neighbours that follow on it under the same heading and that no better passage holds yet."""
    place = next((index for index, each in enumerate(around) if each.id == chunk.id), None)
    if place is None:  # somebody replaced its document meanwhile
        return [chunk]

    def free(each: ChunkRecord) -> bool:
        return each.heading == chunk.heading and (each.document, each.seq) not in covered

    first, last = place, place
    while first > 0 and free(around[first - 1]):
        first -= 1
    while last + 1 < len(around) and free(around[last + 1]):
        last += 1
    return around[first : last + 1]


def _passage(
    chunk: ChunkRecord, around: list[ChunkRecord], score: float, similarity: float, words: float
) -> PassageFound:
    return PassageFound(
        document=chunk.document,
        heading=chunk.heading,
        text="\n\n".join(each.text for each in around),
        similarity=similarity,
        words=words,
        score=score,
        kind="pair" if chunk.kind == "pairs" else "passage",
        start=around[0].start,
        end=around[-1].end,
        asked=chunk.asked,
    )
