"""What is remembered of a user: texts with vectors, and a mark that tells whether anything changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from agentkit.errors import RecordNotFound
from agentkit.store.connection import Row
from agentkit.store.failures import storable, validated
from agentkit.store.records import MemoryChanges, MemoryHead, MemoryKind, MemoryMark, MemoryRecord, NewMemory
from agentkit.store.user_rows import UserRows
from agentkit.store.vectors import from_blobs, to_blob

if TYPE_CHECKING:
    from agentkit.store.records import Vectors

# `rewritten` does not begin at 0: who saw the memories of this user before they were erased takes everything anew.
_COUNT_ADDED: Final = """
INSERT INTO memory_marks (tenant, user, added, rewritten) VALUES (:tenant, :user, :count, abs(random() >> 16))
ON CONFLICT DO UPDATE SET added = added + :count RETURNING added - :count AS first"""

_COUNT_REWRITTEN: Final = "UPDATE memory_marks SET rewritten = rewritten + 1 WHERE tenant = ? AND user = ?"

_ADD: Final = """
INSERT INTO memories (id, tenant, user, seq, kind, text, trust, importance, turn, created_at, encoder,
    dimension, vector, about) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

_REPLACE: Final = """
UPDATE memories SET replaced_by = ? WHERE id = ? AND tenant = ? AND user = ? AND replaced_by IS NULL"""

_COLUMNS: Final = """
SELECT memories.id, memories.seq, memories.kind, memories.text, memories.trust, memories.importance,
    memories.encoder AS encoder_id, turns.id AS turn_id, conversations.id AS conversation_id,
    memories.created_at, memories.about, memories.replaced_by
FROM memories LEFT JOIN turns ON turns.number = memories.turn
LEFT JOIN conversations ON conversations.number = turns.conversation """

_ALL: Final = _COLUMNS + "WHERE memories.tenant = ? AND memories.user = ? ORDER BY memories.seq"

_ALL_OF_KIND: Final = (
    _COLUMNS + "WHERE memories.tenant = ? AND memories.user = ? AND memories.kind = ? ORDER BY memories.seq"
)

# The plus keeps SQLite from looking at all memories of the user instead of these few.
_THESE: Final = (
    _COLUMNS  # noqa: S608
    + "WHERE memories.id IN (SELECT value FROM json_each(?)) AND +memories.tenant = ? AND +memories.user = ?"
)

_THESE_NOW: Final = _THESE + " AND memories.replaced_by IS NULL"

# The mark and what came since, in one statement: it sees one state. Where nothing came, one row without an id.
_CHANGES: Final = """
SELECT memory_marks.added, memory_marks.rewritten, memories.id, memories.text, memories.kind,
    conversations.id AS conversation_id, coalesce(turns.seq, -1) AS turn_seq, memories.importance,
    memories.created_at, memories.encoder, memories.dimension, memories.vector
FROM memory_marks
LEFT JOIN memories ON memories.tenant = memory_marks.tenant AND memories.user = memory_marks.user
    AND memories.seq >= ?
LEFT JOIN turns ON turns.number = memories.turn
LEFT JOIN conversations ON conversations.number = turns.conversation
WHERE memory_marks.tenant = ? AND memory_marks.user = ? ORDER BY memories.seq"""

_SET_VECTOR: Final = """
UPDATE memories SET encoder = ?, dimension = ?, vector = ? WHERE id = ? AND tenant = ? AND user = ?
RETURNING id"""


class MemoryRows(UserRows):
    """Implements `protocol.Memories`, where every method is described."""

    def add_memory(self, memory: NewMemory) -> str:
        """Store one memory and return its id."""
        with self._connection.writing("add_memory"):
            return self._add_memories([memory], None)[0]

    def memories(self, kind: MemoryKind | None = None, *, replaced: bool = False) -> list[MemoryRecord]:
        """All memories, or those of one kind, oldest first; on demand those that were replaced, too."""
        with self._connection.reading():
            if kind is None:
                rows = self._connection.rows(_ALL, (self._tenant, self._user))
            else:
                rows = self._connection.rows(_ALL_OF_KIND, (self._tenant, self._user, kind))
        return [_record(row) for row in rows if replaced or row["replaced_by"] is None]

    def memory(self, ids: Iterable[str], *, replaced: bool = True) -> list[MemoryRecord]:
        """The memories with these ids, in the order asked; those that are gone are left out."""
        wanted = list(ids)
        if not wanted:
            return []
        these = _THESE if replaced else _THESE_NOW
        rows = self._connection.read(these, (json.dumps(wanted), self._tenant, self._user))
        found = {row["id"]: _record(row) for row in rows}
        return [found[each] for each in wanted if each in found]

    def memory_vectors(self, encoder_id: str) -> tuple[tuple[str, ...], Vectors]:
        """Ids and vectors of the memories that an encoder embedded, oldest first."""
        changes = self.memory_changes(encoder_id)
        return changes.ids, changes.vectors

    def memory_changes(self, encoder_id: str, since: MemoryMark | None = None) -> MemoryChanges:
        """What was added since a mark, by any process; cheap when nothing was."""
        mark, rows = self._since(0 if since is None else since.added)
        # Who has seen nothing yet has nothing to take anew.
        rewritten = since is not None and (since.rewritten != mark.rewritten or since.added > mark.added)
        complete = since is None or (since.added > 0 and rewritten)
        if since is not None and complete:
            mark, rows = self._since(0)
        of_encoder = [row for row in rows if row["encoder"] == encoder_id and row["vector"] is not None]
        return MemoryChanges(
            mark=mark,
            complete=complete,
            ids=tuple(row["id"] for row in of_encoder),
            heads=tuple(_head(row) for row in of_encoder),
            vectors=from_blobs("memories", of_encoder),
            stale=len(rows) - len(of_encoder),
        )

    def _since(self, first: int) -> tuple[MemoryMark, list[Row]]:
        """The mark, and the memories with this number and greater ones."""
        rows = self._connection.read(_CHANGES, (first, self._tenant, self._user))
        if not rows:
            return MemoryMark(added=0, rewritten=0), []
        values = {"added": rows[0]["added"], "rewritten": rows[0]["rewritten"]}
        mark = validated(MemoryMark, "memory_marks", self._user, values)
        return mark, [row for row in rows if row["id"] is not None]

    def set_memory_vectors(self, encoder_id: str, vectors: Mapping[str, Vectors]) -> None:
        """Give memories vectors of another encoder, in one transaction."""
        with self._connection.writing("set_memory_vectors"):
            for memory_id, vector in vectors.items():
                values = (encoder_id, len(vector), to_blob(vector), memory_id, self._tenant, self._user)
                if self._connection.row(_SET_VECTOR, values) is None:
                    raise RecordNotFound(f"User {self._user!r} has no memory {memory_id!r}.")
            self._connection.execute(_COUNT_REWRITTEN, (self._tenant, self._user))

    def _add_memories(self, memories: Sequence[NewMemory], turn: Row | None) -> list[str]:
        """Insert memories inside a write; those that name no turn belong to `turn`."""
        if not memories:
            return []
        counted = {"tenant": self._tenant, "user": self._user, "count": len(memories)}
        first = self._connection.rows(_COUNT_ADDED, counted)[0]["first"]
        rows = [self._values(memory, seq, turn) for seq, memory in enumerate(memories, start=first)]
        self._connection.execute_many(_ADD, rows)
        ids = [str(row[0]) for row in rows]
        replaced = ((new, old) for new, memory in zip(ids, memories, strict=True) for old in memory.replaces)
        self._connection.execute_many(_REPLACE, ((*pair, self._tenant, self._user) for pair in replaced))
        return ids

    def _values(self, memory: NewMemory, seq: int, turn: Row | None) -> tuple[object, ...]:
        """The columns of `_ADD`, the id first."""
        source = self._turn_row(memory.turn_id) if memory.turn_id else turn
        return (
            self._ids(),
            self._tenant,
            self._user,
            seq,
            memory.kind,
            storable(memory.text, "a memory"),
            memory.trust,
            memory.importance,
            None if source is None else source["number"],
            self._now(),
            memory.encoder_id,
            0 if memory.vector is None else len(memory.vector),
            None if memory.vector is None else to_blob(memory.vector),
            storable(memory.about, "what a memory is about"),
        )


def _record(row: Row) -> MemoryRecord:
    return validated(MemoryRecord, "memories", row["id"], dict(row))


def _head(row: Row) -> MemoryHead:
    return MemoryHead(
        text=row["text"],
        kind=row["kind"],
        conversation_id=row["conversation_id"],
        turn_seq=row["turn_seq"],
        importance=row["importance"],
        created_at=datetime.fromisoformat(row["created_at"]),
    )
