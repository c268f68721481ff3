"""The documents that a bot answers from: chunks with words and vectors, replaced a document at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError

from agentkit.errors import RecordNotFound
from agentkit.store.connection import Connection, Row
from agentkit.store.failures import poisoned, storable, validated
from agentkit.store.full_text import match_any, searchable
from agentkit.store.identifiers import Clock
from agentkit.store.knowledge_records import ChunkRecord, DocumentRecord, NewChunk, NewDocument
from agentkit.store.vectors import from_blobs, to_blob

if TYPE_CHECKING:
    from agentkit.store.records import Vectors

_TEXTS: Final[TypeAdapter[tuple[str, ...]]] = TypeAdapter(tuple[str, ...])

_DOCUMENTS: Final = """
SELECT path, content_hash, encoder AS encoder_id, updated_at, kind, origin,
    (SELECT count(*) FROM chunks WHERE chunks.document = documents.number) AS chunks,
    (SELECT json_group_array(tag) FROM document_tags WHERE document_tags.document = documents.number) AS tags
FROM documents WHERE tenant = ? AND collection = ? ORDER BY path"""

_FIND: Final = "SELECT number FROM documents WHERE tenant = ? AND collection = ? AND path = ?"
_REMOVE: Final = "DELETE FROM documents WHERE number = ?"

_ADD: Final = """
INSERT INTO documents (tenant, collection, path, content_hash, encoder, updated_at, kind, origin)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""

_ADD_TAG: Final = "INSERT OR IGNORE INTO document_tags (document, tag) VALUES (?, ?)"

_ADD_CHUNK: Final = """
INSERT INTO chunks (document, seq, heading, text, first_character, end_character, dimension, vector, asked)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""

_ADD_WORDS: Final = "INSERT INTO chunk_words (rowid, heading, text) VALUES (?, ?, ?)"
_WORDS: Final = "SELECT number, heading, text FROM chunks WHERE document = ?"
# A table without content must be told what it forgets.
_REMOVE_WORDS: Final = """
INSERT INTO chunk_words (chunk_words, rowid, heading, text) VALUES ('delete', ?, ?, ?)"""

# The words of all tenants are in one table, so what is somebody else's is marked, and the caller looks further.
_WITH_WORDS: Final = """
SELECT found.id, found.score, documents.number IS NOT NULL AS ours
FROM (
    SELECT rowid AS id, -rank AS score FROM chunk_words
    WHERE chunk_words MATCH ? ORDER BY rank LIMIT ?
) AS found
LEFT JOIN chunks ON chunks.number = found.id
LEFT JOIN documents ON documents.number = chunks.document AND documents.tenant = ? AND documents.collection = ?
    AND (? = '[]' OR documents.number IN (
        SELECT document FROM document_tags WHERE tag IN (SELECT value FROM json_each(?))))
ORDER BY found.score DESC"""

_IDS: Final = """
SELECT chunks.number AS id FROM documents JOIN chunks ON chunks.document = documents.number
WHERE documents.tenant = ? AND documents.collection = ? AND documents.encoder = ?"""

_IDS_WITH_TAGS: Final = """
SELECT chunks.number AS id FROM documents JOIN chunks ON chunks.document = documents.number
WHERE documents.tenant = ? AND documents.collection = ? AND documents.encoder = ? AND documents.number IN (
    SELECT document FROM document_tags WHERE tag IN (SELECT value FROM json_each(?)))"""

_VECTORS: Final = """
SELECT chunks.number AS id, chunks.dimension, chunks.vector
FROM documents JOIN chunks ON chunks.document = documents.number
WHERE documents.tenant = ? AND documents.collection = ? AND documents.encoder = ? AND chunks.number > ?"""

_VECTORS_OF: Final = """
SELECT chunks.number AS id, chunks.dimension, chunks.vector
FROM json_each(?) AS wanted CROSS JOIN chunks ON chunks.number = wanted.value
    JOIN documents ON documents.number = chunks.document
WHERE documents.tenant = ? AND documents.collection = ? AND documents.encoder = ? ORDER BY wanted.key"""

_CHUNKS: Final = """
SELECT chunks.number AS id, documents.path AS document, documents.kind, chunks.seq, chunks.heading, chunks.text,
    chunks.first_character AS start, chunks.end_character AS "end", chunks.asked
FROM json_each(?) AS wanted CROSS JOIN chunks ON chunks.number = wanted.value
    JOIN documents ON documents.number = chunks.document
WHERE documents.tenant = ? AND documents.collection = ? ORDER BY wanted.key"""

_NEIGHBOURS: Final = """
SELECT other.number AS id, documents.path AS document, documents.kind, other.seq, other.heading, other.text,
    other.first_character AS start, other.end_character AS "end", other.asked
FROM chunks JOIN documents ON documents.number = chunks.document
    JOIN chunks AS other ON other.document = chunks.document
WHERE chunks.number = ? AND documents.tenant = ? AND documents.collection = ? AND other.seq BETWEEN ? AND ?
ORDER BY other.seq"""

# Counting stops where the exact number does not matter any more.
_COUNT: Final = """
SELECT count(*) AS count FROM (SELECT 1 FROM chunk_words WHERE chunk_words MATCH ? LIMIT ?)"""

_LAST: Final = "SELECT max(number) AS last FROM chunks"

_SATURATION: Final = 1.2
_LEAST: Final = 1e-6
"""As FTS5 computes BM25: how soon further occurrences of a term count less, and the rarity of a term of most rows."""

_AFFORDABLE: Final = 10_000
"""Rows that the terms of one query may have together; FTS5 ranks each of them, at about a microsecond a row."""
_STILL_TELLING: Final = 4 * _AFFORDABLE
"""Rows of the rarest term from which on it is not searched for either."""

_FURTHER: Final = 8  # times as many rows are looked at when too many belong to others

_VERSION: Final = "SELECT version FROM knowledge_versions WHERE tenant = ? AND collection = ?"

_COUNT_VERSION: Final = """
INSERT INTO knowledge_versions (tenant, collection, version) VALUES (?, ?, 1)
ON CONFLICT (tenant, collection) DO UPDATE SET version = version + 1"""


class SqliteKnowledge:
    """Implements `protocol.KnowledgeTable`, where every method is described.

    Args:
        connection: The database.
        tenant: Whose documents.
        collection: Under which name.
        clock: Gives the present time in UTC.
    """

    def __init__(self, connection: Connection, tenant: str, collection: str, clock: Clock) -> None:
        self._connection = connection
        self._key = (storable(tenant, "the tenant's name"), storable(collection, "the collection's name"))
        self._clock = clock
        # Version of the collection, and in how many rows a term occurs: counted once, as frequent ones come often.
        self._counts: tuple[int, dict[str, int]] = (-1, {})

    def documents(self) -> list[DocumentRecord]:
        """All documents, by path."""
        with self._connection.reading():
            rows = self._connection.rows(_DOCUMENTS, self._key)
        return [
            validated(
                DocumentRecord,
                "documents",
                row["path"],
                {**dict(row), "tags": sorted(json.loads(row["tags"]))},
            )
            for row in rows
        ]

    def replace_documents(self, documents: Sequence[NewDocument]) -> None:
        """Store documents in place of earlier ones of the same paths, all in one transaction."""
        with self._connection.writing("replace_documents"):
            for document in documents:
                self._forget(document.path)
                self._add(document)
            self._connection.execute(_COUNT_VERSION, self._key)

    def remove_documents(self, paths: Sequence[str]) -> None:
        """Remove documents and their chunks, all in one transaction."""
        with self._connection.writing("remove_documents"):
            for path in paths:
                if not self._forget(path):
                    raise RecordNotFound(
                        f"There is no document {path!r} in {self._key[1]!r}.",
                        hint="`agentkit knowledge list` names them.",
                    )
            self._connection.execute(_COUNT_VERSION, self._key)

    def chunk_ids(self, encoder_id: str, tags: Sequence[str] = ()) -> list[int]:
        """Ids of the chunks of an encoder, ascending, of documents that have one of `tags`, if there are any."""
        with self._connection.reading():
            if tags:
                rows = self._connection.rows(_IDS_WITH_TAGS, (*self._key, encoder_id, json.dumps(list(tags))))
            else:
                rows = self._connection.rows(_IDS, (*self._key, encoder_id))
        return sorted(row["id"] for row in rows)

    def chunk_vectors(self, encoder_id: str, after: int = 0) -> tuple[tuple[int, ...], Vectors]:
        """Ids, ascending, and vectors of an encoder's chunks with an id above `after`."""
        with self._connection.reading():
            rows = self._connection.rows(_VECTORS, (*self._key, encoder_id, after))
        # Sorted here: SQLite would move the vectors themselves.
        rows.sort(key=lambda row: int(row["id"]))
        return _vectors(rows)

    def vectors_of(self, ids: Sequence[int], encoder_id: str) -> tuple[tuple[int, ...], Vectors]:
        """Those of `ids` that an encoder embedded, in the order given, and their vectors."""
        with self._connection.reading():
            return _vectors(
                self._connection.rows(_VECTORS_OF, (json.dumps(list(ids)), *self._key, encoder_id))
            )

    def chunks_with_words(
        self, terms: Sequence[str], limit: int, tags: Sequence[str] = ()
    ) -> list[tuple[int, float]]:
        """The chunks that hold at least one term, by BM25: ids and scores, best first."""
        if not terms or limit < 1:
            return []
        wanted = json.dumps(list(tags))
        reach = limit
        with self._connection.reading():
            terms = self._affordable(terms)
            while terms:
                rows = self._connection.rows(
                    _WITH_WORDS, (match_any(terms), reach, *self._key, wanted, wanted)
                )
                ours = [(row["id"], row["score"]) for row in rows if row["ours"]]
                if len(ours) >= limit or len(rows) < reach:
                    return ours[:limit]
                reach *= _FURTHER
        return []

    def most_words(self, terms: Sequence[str]) -> float:
        """A score by words that no chunk can exceed."""
        with self._connection.reading():
            searched = self._affordable(terms)
            (row,) = self._connection.rows(_LAST)
        counts, last = self._counts[1], row["last"] or 0
        counted = [counts[term] for term in searched] + [0 for term in terms if not counts[term]]
        rarities = [math.log((max(last, count) - count + 0.5) / (count + 0.5)) for count in counted]
        return (_SATURATION + 1) * sum(max(rarity, _LEAST) for rarity in rarities)

    def chunks(self, ids: Iterable[int]) -> list[ChunkRecord]:
        """The chunks with these ids, in the order asked; those that are gone are left out."""
        with self._connection.reading():
            return _chunks(self._connection.rows(_CHUNKS, (json.dumps(list(ids)), *self._key)))

    def neighbours(self, chunk: ChunkRecord, reach: int) -> list[ChunkRecord]:
        """The chunk and those up to `reach` places before and behind it in its document, in order."""
        values = (chunk.id, *self._key, chunk.seq - reach, chunk.seq + reach)
        with self._connection.reading():
            return _chunks(self._connection.rows(_NEIGHBOURS, values))

    def version(self) -> int:
        """A number that grows with every write, by any process."""
        with self._connection.reading():
            row = self._connection.row(_VERSION, self._key)
        return 0 if row is None else int(row["version"])

    def _affordable(self, terms: Sequence[str]) -> list[str]:
        """The rarest terms, as many as can be ranked quickly: a frequent one costs much and tells little."""
        version = self.version()
        if self._counts[0] != version:
            self._counts = (version, {})
        counts = self._counts[1]
        for term in terms:
            if term not in counts:
                rows = self._connection.rows(_COUNT, (match_any([term]), _STILL_TELLING + 1))
                counts[term] = rows[0]["count"]
        rarest = sorted((term for term in terms if counts[term]), key=counts.__getitem__)
        total = 0
        for place, term in enumerate(rarest):
            total += counts[term]
            if total > (_AFFORDABLE if place else _STILL_TELLING):
                return rarest[:place]
        return rarest

    def _add(self, document: NewDocument) -> None:
        values = (
            *self._key,
            storable(document.path, "the path"),
            document.content_hash,
            document.encoder_id,
            self._clock().isoformat(),
            document.kind,
            storable(document.origin, "the origin"),
        )
        number = self._connection.execute(_ADD, values)
        self._connection.execute_many(_ADD_TAG, ((number, storable(tag, "a tag")) for tag in document.tags))
        for seq, chunk in enumerate(document.chunks):
            chunk_number = self._connection.execute(_ADD_CHUNK, _chunk_values(number, seq, chunk))
            self._connection.execute(
                _ADD_WORDS, (chunk_number, searchable(chunk.heading), searchable(chunk.text))
            )

    def _forget(self, path: str) -> bool:
        row = self._connection.row(_FIND, (*self._key, storable(path, "the path")))
        if row is None:
            return False
        chunks = self._connection.rows(_WORDS, (row["number"],))
        self._connection.execute_many(
            _REMOVE_WORDS,
            ((each["number"], searchable(each["heading"]), searchable(each["text"])) for each in chunks),
        )
        self._connection.execute(_REMOVE, (row["number"],))
        return True


def _chunk_values(document: int, seq: int, chunk: NewChunk) -> tuple[object, ...]:
    return (
        document,
        seq,
        storable(chunk.heading, "a heading"),
        storable(chunk.text, "a chunk"),
        chunk.start,
        chunk.end,
        len(chunk.vector),
        to_blob(chunk.vector),
        json.dumps([storable(each, "what is asked for a chunk") for each in chunk.asked], ensure_ascii=False),
    )


def _vectors(rows: Sequence[Row]) -> tuple[tuple[int, ...], Vectors]:
    return tuple(row["id"] for row in rows), from_blobs("chunks", rows)


def _chunks(rows: Sequence[Row]) -> list[ChunkRecord]:
    return [validated(ChunkRecord, "chunks", row["id"], {**dict(row), "asked": _asked(row)}) for row in rows]


def _asked(row: Row) -> tuple[str, ...]:
    try:
        return _TEXTS.validate_json(row["asked"])
    except ValidationError as problem:
        raise poisoned("chunks", row["id"], problem) from problem
