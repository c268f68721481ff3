"""Memories of an in-memory store; the protocol describes every method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy

from agentkit.errors import RecordNotFound
from agentkit.store.records import MemoryChanges, MemoryHead, MemoryKind, MemoryMark, MemoryRecord, NewMemory
from agentkit.testing.in_memory_rows import MemoryData, UserData, stacked, storable_text

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

    def memory(self, ids: Iterable[str], *, replaced: bool = True) -> list[MemoryRecord]:
        """The memories with these ids, in the order asked; those that are gone are left out."""
        with self._use():
            mine = self._mine()
            records = [mine[each].record for each in ids if each in mine]
            return [record for record in records if replaced or record.replaced_by is None]

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
            if mark == since:
                return MemoryChanges(mark, False, (), (), stacked([]), 0)
            complete = since is None or (since.added > 0 and since.rewritten != mark.rewritten)
            first = 0 if since is None or complete else since.added
            new = [each for each in self._mine().values() if each.record.seq >= first]
            mine = [each for each in new if each.record.encoder_id == encoder_id and each.vector is not None]
            return MemoryChanges(
                mark=mark,
                complete=complete,
                ids=tuple(each.record.id for each in mine),
                heads=tuple(self._head(each.record) for each in mine),
                vectors=stacked([each.vector for each in mine if each.vector is not None]),
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
