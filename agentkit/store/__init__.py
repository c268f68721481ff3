"""The store: conversations, turns, calls and memories in one SQLite file; `protocol` holds the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.store.knowledge_records import NewChunk, NewDocument
from agentkit.store.protocol import KnowledgeTable, Store, UserStore
from agentkit.store.records import JournalRow, MemoryRecord, NewMemory, OpenTurn

if TYPE_CHECKING:
    from agentkit.store.sqlite_store import SqliteStore

__all__ = [
    "JournalRow",
    "KnowledgeTable",
    "MemoryRecord",
    "NewChunk",
    "NewDocument",
    "NewMemory",
    "OpenTurn",
    "SqliteStore",
    "Store",
    "UserStore",
]


def __getattr__(name: str) -> object:
    # sqlite-utils and numpy take a quarter of a second to import: only who opens a store pays for it.
    if name == "SqliteStore":
        from agentkit.store.sqlite_store import SqliteStore

        return SqliteStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
