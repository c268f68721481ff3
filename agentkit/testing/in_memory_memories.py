"""Memories and knowledge of an in-memory store; the protocol describes every method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy

from agentkit.errors import RecordNotFound, StoreError
from agentkit.store.records import (
    ChunkRecord,
    DocumentRecord,
    MemoryChanges,
    MemoryHead,
    MemoryKind,
    MemoryMark,
    MemoryRecord,
    NewChunk,
    NewMemory,
)
from agentkit.testing.in_memory_rows import InMemoryData, KnowledgeData, MemoryData, UserData, storable_text

if TYPE_CHECKING:
    from agentkit.store.records import Vectors


class InMemoryMemories(UserData):
    """Implements `protocol.Memories`."""

    def add_memory(self, memory: NewMemory) -> str:
        """Store one memory and return its id."""
        with self._use():
            self._check_memories([memory])
            return self._add_memories([memory], None)[0]

    def memories(self, kind: MemoryKind | None = None, *, replaced: bool = False) -> list[MemoryRecord]:
        """All memories, or those of one kind, oldest first; on demand those that were replaced, too."""
        with self._use():
            records = (each.record for each in self._mine().values() if kind in (None, each.record.kind))
            return [record for record in records if replaced or record.replaced_by is None]

    def memory(self, ids: Iterable[str]) -> list[MemoryRecord]:
        """The memories with these ids, in the order asked; those that are gone are left out."""
        with self._use():
            mine = self._mine()
            return [mine[each].record for each in ids if each in mine]

    def memory_vectors(self, encoder_id: str) -> tuple[tuple[str, ...], Vectors]:
        """Ids and vectors of the memories that an encoder embedded, oldest first."""
        changes = self.memory_changes(encoder_id)
        return changes.ids, changes.vectors

    def memory_changes(self, encoder_id: str, since: MemoryMark | None = None) -> MemoryChanges:
        """What was added since a mark."""
        with self._use():
            mark = MemoryMark(
                added=self._data.added.get(self._owner, 0), rewritten=self._data.rewritten.get(self._owner, 0)
            )
            complete = since is None or (since.added > 0 and since.rewritten != mark.rewritten)
            first = 0 if since is None or complete else since.added
            new = [each for each in self._mine().values() if each.record.seq >= first]
            mine = [each for each in new if each.record.encoder_id == encoder_id and each.vector is not None]
            return MemoryChanges(
                mark=mark,
                complete=complete,
                ids=tuple(each.record.id for each in mine),
                heads=tuple(self._head(each.record) for each in mine),
                vectors=_stacked([each.vector for each in mine if each.vector is not None]),
                stale=len(new) - len(mine),
            )

    def set_memory_vectors(self, encoder_id: str, vectors: Mapping[str, Vectors]) -> None:
        """Give memories vectors of another encoder."""
        with self._use():
            mine = self._mine()
            for memory_id in vectors:
                self._check_known(memory_id)
            for memory_id, vector in vectors.items():
                mine[memory_id].vector = numpy.array(vector, dtype=numpy.float32)
                mine[memory_id].record = mine[memory_id].record.model_copy(update={"encoder_id": encoder_id})
            self._data.rewritten[self._owner] = self._data.rewritten.get(self._owner, 0) + 1

    def remove_memory(self, memory_id: str) -> None:
        """Remove one memory."""
        with self._use():
            self._check_known(memory_id)
            del self._mine()[memory_id]
            self._data.rewritten[self._owner] = self._data.rewritten.get(self._owner, 0) + 1

    def _head(self, record: MemoryRecord) -> MemoryHead:
        seq = -1 if record.turn_id is None else self._turn(record.turn_id)[1].record.seq
        return MemoryHead(
            record.text, record.kind, record.conversation_id, seq, record.importance, record.created_at
        )

    def _mine(self) -> dict[str, MemoryData]:
        return self._data.memories.setdefault(self._owner, {})

    def _check_known(self, memory_id: str) -> None:
        if memory_id not in self._mine():
            raise RecordNotFound(f"User {self.user!r} has no memory {memory_id!r}.")

    def _check_memories(self, memories: Sequence[NewMemory]) -> None:
        for memory in memories:
            storable_text(memory.text, "a memory")
            storable_text(memory.about, "what a memory is about")
            if memory.turn_id is not None:
                self._turn(memory.turn_id)

    def _add_memories(self, memories: Sequence[NewMemory], turn_id: str | None) -> list[str]:
        return [self._add_memory(memory, memory.turn_id or turn_id) for memory in memories]

    def _add_memory(self, memory: NewMemory, turn_id: str | None) -> str:
        seq = self._data.added.get(self._owner, 0)
        self._data.added[self._owner] = seq + 1
        record = MemoryRecord(
            id=self._data.ids(),
            seq=seq,
            kind=memory.kind,
            text=memory.text,
            trust=memory.trust,
            importance=memory.importance,
            encoder_id=memory.encoder_id,
            turn_id=turn_id,
            conversation_id=None if turn_id is None else self._turn(turn_id)[0].record.id,
            created_at=self._data.clock(),
            about=memory.about,
        )
        for old in memory.replaces:
            if old in self._mine() and self._mine()[old].record.replaced_by is None:
                changed = self._mine()[old].record.model_copy(update={"replaced_by": record.id})
                self._mine()[old].record = changed
        vector = None if memory.vector is None else numpy.array(memory.vector, dtype=numpy.float32)
        self._mine()[record.id] = MemoryData(record, vector)
        return record.id


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

    def replace_document(
        self, path: str, content_hash: str, chunks: Sequence[NewChunk], *, encoder_id: str
    ) -> None:
        """Store a document in place of an earlier one of the same path."""
        for text in (path, *(text for chunk in chunks for text in (chunk.heading, chunk.text))):
            storable_text(text, "a document")
        with self._data.lock:
            mine = self._mine()
            self._drop(mine, path)
            mine.documents[path] = DocumentRecord(
                path=path,
                content_hash=content_hash,
                encoder_id=encoder_id,
                chunks=len(chunks),
                updated_at=self._data.clock(),
            )
            for seq, chunk in enumerate(chunks):
                self._data.chunks_made += 1
                record = ChunkRecord(
                    id=self._data.chunks_made,
                    document=path,
                    seq=seq,
                    heading=chunk.heading,
                    text=chunk.text,
                    start=chunk.start,
                    end=chunk.end,
                )
                mine.chunks[record.id] = (record, numpy.array(chunk.vector, dtype=numpy.float32))
            mine.version += 1

    def remove_document(self, path: str) -> None:
        """Remove a document and its chunks."""
        with self._data.lock:
            mine = self._mine()
            if path not in mine.documents:
                raise RecordNotFound(f"There is no document {path!r} in {self._key[1]!r}.")
            self._drop(mine, path)
            mine.version += 1

    def chunk_vectors(self, encoder_id: str) -> tuple[tuple[int, ...], Vectors]:
        """Ids and vectors of the chunks of an encoder, by path and seq."""
        with self._data.lock:
            mine = self._mine()
            of_encoder = [each for each in mine.documents.values() if each.encoder_id == encoder_id]
            paths = {document.path for document in of_encoder}
            chunks = [each for each in mine.chunks.values() if each[0].document in paths]
            chunks.sort(key=lambda each: (each[0].document, each[0].seq))
            return tuple(record.id for record, _ in chunks), _stacked([vector for _, vector in chunks])

    def chunks(self, ids: Iterable[int]) -> list[ChunkRecord]:
        """The chunks with these ids, in the order asked."""
        with self._data.lock:
            mine, asked = self._mine(), list(ids)
            for number in asked:
                if number not in mine.chunks:
                    raise RecordNotFound(f"There is no chunk {number} in {self._key[1]!r}.")
            return [mine.chunks[number][0] for number in asked]

    def version(self) -> int:
        """Grows with every write."""
        with self._data.lock:
            return self._mine().version

    def _mine(self) -> KnowledgeData:
        if self._is_closed():
            raise StoreError("The store is closed.", hint="Open it again.")
        return self._data.knowledge.setdefault(self._key, KnowledgeData())

    @staticmethod
    def _drop(mine: KnowledgeData, path: str) -> None:
        mine.documents.pop(path, None)
        for number in [number for number, (record, _) in mine.chunks.items() if record.document == path]:
            del mine.chunks[number]


def _stacked(vectors: Sequence[Vectors]) -> Vectors:
    return numpy.stack(vectors) if vectors else numpy.zeros((0, 0), dtype=numpy.float32)
