"""What a store promises about the documents that a bot answers from; a part of `protocol`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from agentkit.store.knowledge_records import ChunkRecord, DocumentRecord, NewDocument

if TYPE_CHECKING:
    from agentkit.store.records import Vectors


class KnowledgeTable(Protocol):
    """The documents that a bot answers from, cut into chunks with words and vectors."""

    def documents(self) -> list[DocumentRecord]:
        """All documents, by path."""
        ...

    def replace_documents(self, documents: Sequence[NewDocument]) -> None:
        """Store documents in place of earlier ones of the same paths, all in one transaction."""
        ...

    def remove_documents(self, paths: Sequence[str]) -> None:
        """Remove documents and their chunks, all in one transaction.

        Raises:
            RecordNotFound: There is no such document; nothing was removed.
        """
        ...

    def chunk_ids(self, encoder_id: str, tags: Sequence[str] = ()) -> list[int]:
        """Ids of the chunks of an encoder, ascending: of documents that have one of `tags`, if there are any.

        An id is never used again, and what it stands for never changes: what was read of it stays true while it exists.
        """
        ...

    def chunk_vectors(self, encoder_id: str, after: int = 0) -> tuple[tuple[int, ...], Vectors]:
        """Ids, ascending, and vectors (float32 [n, dimension]) of an encoder's chunks with an id above `after`."""
        ...

    def vectors_of(self, ids: Sequence[int], encoder_id: str) -> tuple[tuple[int, ...], Vectors]:
        """Those of `ids` that an encoder embedded, in the order given, and their vectors, float32 [n, dimension]."""
        ...

    def chunks_with_words(
        self, terms: Sequence[str], limit: int, tags: Sequence[str] = ()
    ) -> list[tuple[int, float]]:
        """The chunks that hold at least one term, by BM25: ids and scores above 0, best first.

        Args:
            terms: What `full_text.search_terms` returns.
            limit: At most so many.
            tags: Only of documents that have one of these, if there are any.
        """
        ...

    def most_words(self, terms: Sequence[str]) -> float:
        """A score by words that no chunk can exceed: that of one that holds all terms again and again.

        Terms that no chunk holds count, those that are too frequent to be searched for do not.
        """
        ...

    def chunks(self, ids: Iterable[int]) -> list[ChunkRecord]:
        """The chunks with these ids, in the order asked; those that are gone are left out."""
        ...

    def neighbours(self, chunk: ChunkRecord, reach: int) -> list[ChunkRecord]:
        """The chunk and those up to `reach` places before and behind it in its document, in order."""
        ...

    def version(self) -> int:
        """Grows with every write, by any process: what a reader cached is good while it stays the same."""
        ...
