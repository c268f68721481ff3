"""The documents of an in-memory store, searched by words too; the protocol describes every method."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import RecordNotFound, StoreError
from agentkit.store.full_text import searchable
from agentkit.store.knowledge_records import ChunkRecord, DocumentRecord, NewDocument
from agentkit.store.vectors import to_blob
from agentkit.testing.in_memory_rows import InMemoryData, KnowledgeData, stacked, storable_text

if TYPE_CHECKING:
    from agentkit.store.records import Vectors

_WORD: Final = re.compile(r"[^\W_]+")
_SATURATION: Final = 1.2  # BM25's k1
_LENGTH: Final = 0.75  # BM25's b
_LEAST: Final = 1e-6  # what a term weighs that nearly every chunk holds


class InMemoryKnowledge:
    """Implements `protocol.KnowledgeTable`.

    Args:
        data: All data.
        tenant: Whose documents.
        collection: Under which name.
        is_closed: Whether the store was closed.
    """

    def __init__(
        self, data: InMemoryData, tenant: str, collection: str, is_closed: Callable[[], bool]
    ) -> None:
        self._data = data
        self._key = (storable_text(tenant, "the tenant's name"), storable_text(collection, "the collection"))
        self._is_closed = is_closed

    def documents(self) -> list[DocumentRecord]:
        """All documents, by path."""
        with self._data.lock:
            return [record for _, record in sorted(self._mine().documents.items())]

    def replace_documents(self, documents: Sequence[NewDocument]) -> None:
        """Store documents in place of earlier ones of the same paths, all or none."""
        for document in documents:
            _check_storable(document)
        with self._data.lock:
            mine = self._mine()
            for document in documents:
                _drop(mine, document.path)
                self._add(mine, document)
            mine.version += 1

    def remove_documents(self, paths: Sequence[str]) -> None:
        """Remove documents and their chunks, all or none."""
        with self._data.lock:
            mine = self._mine()
            for place, path in enumerate(paths):
                if path not in mine.documents or path in paths[:place]:
                    raise RecordNotFound(f"There is no document {path!r} in {self._key[1]!r}.")
            for path in paths:
                _drop(mine, path)
            mine.version += 1

    def chunk_ids(self, encoder_id: str, tags: Sequence[str] = ()) -> list[int]:
        """Ids of the chunks of an encoder, ascending, of documents that have one of `tags`, if there are any."""
        with self._data.lock:
            mine = self._mine()
            return [
                number
                for number, (record, _) in mine.chunks.items()
                if _is_of(mine, record, encoder_id) and _is_tagged(mine, record, tags)
            ]

    def chunk_vectors(self, encoder_id: str, after: int = 0) -> tuple[tuple[int, ...], Vectors]:
        """Ids, ascending, and vectors of an encoder's chunks with an id above `after`."""
        with self._data.lock:
            return self.vectors_of([each for each in self.chunk_ids(encoder_id) if each > after], encoder_id)

    def vectors_of(self, ids: Sequence[int], encoder_id: str) -> tuple[tuple[int, ...], Vectors]:
        """Those of `ids` that an encoder embedded, in the order given, and their vectors."""
        with self._data.lock:
            mine = self._mine()
            known = [each for each in ids if each in mine.chunks]
            found = [each for each in known if _is_of(mine, mine.chunks[each][0], encoder_id)]
            return tuple(found), stacked([mine.chunks[each][1] for each in found])

    def chunks_with_words(
        self, terms: Sequence[str], limit: int, tags: Sequence[str] = ()
    ) -> list[tuple[int, float]]:
        """The chunks that hold at least one term, by BM25: ids and scores, best first."""
        with self._data.lock:
            mine = self._mine()
            allowed = {n for n, (record, _) in mine.chunks.items() if _is_tagged(mine, record, tags)}
            scores = _bm25([record for record, _ in mine.chunks.values()], terms)
            found = [(number, score) for number, score in scores.items() if number in allowed]
            return sorted(found, key=lambda each: (-each[1], each[0]))[: max(limit, 0)]

    def most_words(self, terms: Sequence[str]) -> float:
        """A score by words that no chunk can exceed."""
        with self._data.lock:
            records = [record for record, _ in self._mine().chunks.values()]
        texts = [(_words(record.heading), _words(record.text)) for record in records]
        held = [
            sum(any(_occurrences(wanted, part) for part in parts) for parts in texts)
            for wanted in map(_words, terms)
        ]
        rarities = [math.log((len(texts) - count + 0.5) / (count + 0.5)) for count in held]
        return (_SATURATION + 1) * sum(max(rarity, _LEAST) for rarity in rarities)

    def chunks(self, ids: Iterable[int]) -> list[ChunkRecord]:
        """The chunks with these ids, in the order asked; those that are gone are left out."""
        with self._data.lock:
            mine = self._mine()
            return [mine.chunks[number][0] for number in ids if number in mine.chunks]

    def neighbours(self, chunk: ChunkRecord, reach: int) -> list[ChunkRecord]:
        """The chunk and those up to `reach` places before and behind it in its document, in order."""
        with self._data.lock:
            mine = self._mine()
            if chunk.id not in mine.chunks:
                return []
            path = mine.chunks[chunk.id][0].document
            same = (record for record, _ in mine.chunks.values() if record.document == path)
            return [record for record in same if abs(record.seq - chunk.seq) <= reach]

    def version(self) -> int:
        """Grows with every write."""
        with self._data.lock:
            return self._mine().version

    def _mine(self) -> KnowledgeData:
        if self._is_closed():
            raise StoreError("The store is closed.", hint="Open it again.")
        return self._data.knowledge.setdefault(self._key, KnowledgeData())

    def _add(self, mine: KnowledgeData, document: NewDocument) -> None:
        mine.documents[document.path] = DocumentRecord(
            path=document.path,
            content_hash=document.content_hash,
            encoder_id=document.encoder_id,
            chunks=len(document.chunks),
            updated_at=self._data.clock(),
            kind=document.kind,
            origin=document.origin,
            tags=tuple(sorted(set(document.tags))),
        )
        for seq, chunk in enumerate(document.chunks):
            self._data.chunks_made += 1
            record = ChunkRecord(
                id=self._data.chunks_made,
                document=document.path,
                kind=document.kind,
                seq=seq,
                heading=chunk.heading,
                text=chunk.text,
                start=chunk.start,
                end=chunk.end,
                asked=chunk.asked,
            )
            mine.chunks[record.id] = (record, numpy.array(chunk.vector, dtype=numpy.float32))


def _check_storable(document: NewDocument) -> None:
    texts = (text for chunk in document.chunks for text in (chunk.heading, chunk.text, *chunk.asked))
    for text in (document.path, document.origin, *document.tags, *texts):
        storable_text(text, "a document")
    for chunk in document.chunks:
        to_blob(chunk.vector)  # refuses what is no finite number


def _drop(mine: KnowledgeData, path: str) -> None:
    mine.documents.pop(path, None)
    for number in [number for number, (record, _) in mine.chunks.items() if record.document == path]:
        del mine.chunks[number]


def _is_of(mine: KnowledgeData, record: ChunkRecord, encoder_id: str) -> bool:
    return mine.documents[record.document].encoder_id == encoder_id


def _is_tagged(mine: KnowledgeData, record: ChunkRecord, tags: Sequence[str]) -> bool:
    return not tags or not set(tags).isdisjoint(mine.documents[record.document].tags)


def _bm25(records: Sequence[ChunkRecord], terms: Sequence[str]) -> dict[int, float]:
    """Scores of the chunks that hold at least one term, as SQLite's FTS5 computes them, by id."""
    texts = [(record.id, _words(record.heading), _words(record.text)) for record in records]
    lengths = {number: len(heading) + len(text) for number, heading, text in texts}
    mean = sum(lengths.values()) / len(lengths) if lengths else 0.0
    scores: dict[int, float] = {}
    for wanted in map(_words, terms):
        counts = {
            number: _occurrences(wanted, heading) + _occurrences(wanted, text)
            for number, heading, text in texts
        }
        holding = {number: count for number, count in counts.items() if count}
        rarity = math.log((len(texts) - len(holding) + 0.5) / (len(holding) + 0.5))
        for number, count in holding.items():
            damping = _SATURATION * (1 - _LENGTH + _LENGTH * lengths[number] / mean)
            gained = max(rarity, _LEAST) * count * (_SATURATION + 1) / (count + damping)
            scores[number] = scores.get(number, 0.0) + gained
    return scores


def _words(text: str) -> list[str]:
    """Words without case, accents and the endings of plurals, which is less than SQLite's stemmer takes off."""
    plain = unicodedata.normalize("NFD", searchable(text).lower())
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in _WORD.findall(kept)]


def _occurrences(wanted: Sequence[str], words: Sequence[str]) -> int:
    """How often `wanted` stands in `words`, one word after the other."""
    size = len(wanted)
    return sum(words[place : place + size] == wanted for place in range(len(words) - size + 1)) if size else 0
