"""What a store promises about memories and about erasing what a user has: part of `protocol`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from agentkit.store.erasure_records import ErasureReceipt
from agentkit.store.records import MemoryChanges, MemoryKind, MemoryMark, MemoryRecord, NewMemory

if TYPE_CHECKING:
    from pathlib import Path

    from agentkit.store.records import Vectors


class Memories(Protocol):
    """What is remembered of one user across conversations."""

    def add_memory(self, memory: NewMemory) -> str:
        """Store one memory and return its id."""
        ...

    def memories(self, kind: MemoryKind | None = None, *, replaced: bool = False) -> list[MemoryRecord]:
        """All memories, or those of one kind, oldest first.

        Args:
            kind: Only these.
            replaced: The facts that a newer one took the place of, too.
        """
        ...

    def memory(self, ids: Iterable[str], *, replaced: bool = True) -> list[MemoryRecord]:
        """The memories with these ids, in the order asked; those that are gone are left out.

        Args:
            ids: Which ones.
            replaced: The facts that a newer one took the place of, too.
        """
        ...

    def memory_vectors(self, encoder_id: str) -> tuple[tuple[str, ...], Vectors]:
        """Ids and vectors (float32 [n, dimension]) of the memories that an encoder embedded, oldest first."""
        ...

    def memory_changes(self, encoder_id: str, since: MemoryMark | None = None) -> MemoryChanges:
        """What was added since a mark, by any process; cheap when nothing was."""
        ...

    def set_memory_vectors(self, encoder_id: str, vectors: Mapping[str, Vectors]) -> None:
        """Give memories (by id) vectors of another encoder, float32 [dimension] each, in one transaction."""
        ...


class Erasable(Protocol):
    """What one user has can be erased for good."""

    def remove_memory(
        self, memory_id: str, *, wait: float = 30.0, beside: Sequence[Path] = ()
    ) -> ErasureReceipt:
        """Erase one memory, and look into the raw bytes as `erase` does; what was said in conversations stays.

        Args:
            memory_id: The memory.
            wait: As below.
            beside: As below.

        Raises:
            RecordNotFound: There is no such memory.
            ErasureIncomplete: As below.
        """
        ...

    def erase(self, *, wait: float = 30.0, beside: Sequence[Path] = ()) -> ErasureReceipt:
        """Erase everything of this user, and look into the raw bytes of the files whether anything is left.

        Args:
            wait: Seconds to wait for others who still read what was there before.
            beside: Files and folders that may hold copies, caches say; they are searched, not changed.

        Raises:
            ErasureIncomplete: Everything is deleted, but somebody kept the old pages alive for longer than `wait`.
                Erasing again finishes it.
        """
        ...
