"""A SQLite store for a test, and short ways to write turns."""

from __future__ import annotations

from pathlib import Path

from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing.promises.samples import (
    CALL,
    DONE,
    finish,
    memory,
    remembered,
    say,
    trace,
    turn_with_started_call,
    turn_with_written_call,
    unit,
)

__all__ = [
    "CALL",
    "DONE",
    "finish",
    "memory",
    "open_store",
    "remembered",
    "say",
    "trace",
    "turn_with_started_call",
    "turn_with_written_call",
    "unit",
]


def open_store(folder: Path) -> SqliteStore:
    return SqliteStore.open(folder / "agentkit.db", busy_timeout=0.2)
