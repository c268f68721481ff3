"""The documents that a bot answers from: chunks with vectors, replaced a document at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from agentkit.errors import RecordNotFound
from agentkit.store.connection import Connection
from agentkit.store.failures import storable, validated
from agentkit.store.identifiers import Clock
from agentkit.store.records import ChunkRecord, DocumentRecord, NewChunk
from agentkit.store.vectors import from_blobs, to_blob

if TYPE_CHECKING:
    from agentkit.store.records import Vectors

_DOCUMENTS: Final = """
SELECT path, content_hash, encoder AS encoder_id, updated_at,
    (SELECT count(*) FROM chunks WHERE chunks.document = documents.number) AS chunks
FROM documents WHERE tenant = ? AND collection = ? ORDER BY path"""

_REMOVE: Final = "DELETE FROM documents WHERE tenant = ? AND collection = ? AND path = ? RETURNING number"

_ADD: Final = """
INSERT INTO documents (tenant, collection, path, content_hash, encoder, updated_at)
VALUES (?, ?, ?, ?, ?, ?)"""

_ADD_CHUNK: Final = """
INSERT INTO chunks (document, seq, heading, text, first_character, end_character, dimension, vector)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""

_VECTORS: Final = """
SELECT chunks.number AS id, chunks.dimension, chunks.vector
FROM documents JOIN chunks ON chunks.document = documents.number
WHERE documents.tenant = ? AND documents.collection = ? AND documents.encoder = ?
ORDER BY documents.path, chunks.seq"""

_CHUNK: Final = """
SELECT chunks.number AS id, documents.path AS document, chunks.seq, chunks.heading, chunks.text,
    chunks.first_character AS start, chunks.end_character AS "end"
FROM chunks JOIN documents ON documents.number = chunks.document
WHERE documents.tenant = ? AND documents.collection = ? AND chunks.number = ?"""

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

    def documents(self) -> list[DocumentRecord]:
        """All documents, by path."""
        with self._connection.reading():
            rows = self._connection.rows(_DOCUMENTS, self._key)
        return [validated(DocumentRecord, "documents", row["path"], dict(row)) for row in rows]

    def replace_document(
        self, path: str, content_hash: str, chunks: Sequence[NewChunk], *, encoder_id: str
    ) -> None:
        """Store a document in place of an earlier one of the same path, in one transaction."""
        values = (*self._key, storable(path, "the path"), content_hash, encoder_id, self._clock().isoformat())
        with self._connection.writing("replace_document"):
            self._connection.rows(_REMOVE, (*self._key, path))
            document = self._connection.execute(_ADD, values)
            self._connection.execute_many(
                _ADD_CHUNK, (_chunk_values(document, seq, chunk) for seq, chunk in enumerate(chunks))
            )
            self._connection.execute(_COUNT_VERSION, self._key)

    def remove_document(self, path: str) -> None:
        """Remove a document and its chunks."""
        with self._connection.writing("remove_document"):
            if not self._connection.rows(_REMOVE, (*self._key, storable(path, "the path"))):
                raise RecordNotFound(f"There is no document {path!r} in {self._key[1]!r}.")
            self._connection.execute(_COUNT_VERSION, self._key)

    def chunk_vectors(self, encoder_id: str) -> tuple[tuple[int, ...], Vectors]:
        """Ids and vectors of the chunks that this encoder embedded, by path and seq."""
        with self._connection.reading():
            rows = self._connection.rows(_VECTORS, (*self._key, encoder_id))
        return tuple(row["id"] for row in rows), from_blobs("chunks", rows)

    def chunks(self, ids: Iterable[int]) -> list[ChunkRecord]:
        """The chunks with these ids, in the order asked."""
        with self._connection.reading():
            return [self._chunk(each) for each in ids]

    def version(self) -> int:
        """A number that grows with every write, by any process."""
        with self._connection.reading():
            row = self._connection.row(_VERSION, self._key)
        return 0 if row is None else int(row["version"])

    def _chunk(self, number: int) -> ChunkRecord:
        row = self._connection.row(_CHUNK, (*self._key, number))
        if row is None:
            raise RecordNotFound(
                f"There is no chunk {number} in {self._key[1]!r}: its document was replaced or removed.",
                hint="Search again.",
            )
        return validated(ChunkRecord, "chunks", number, dict(row))


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
    )
