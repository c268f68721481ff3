"""The schema, as a list of steps that only grows: a released step is never changed.

`apply` brings a file to the newest version in one transaction. Each step sets the version, `PRAGMA
user_version`; `PRAGMA application_id` marks the file as ours. `differences` compares the schema of a file
with the one that these steps make: a trigger, a view or an altered table that somebody planted is code or a
trap, and is refused.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlite_utils import Database, Migrations

from agentkit.store import table_texts as texts
from agentkit.store.driver import sqlite3
from agentkit.store.full_text import searchable

APPLICATION_ID: Final = 0x41474B54
"""Marks a database as ours: the letters AGKT."""

NEWEST_VERSION: Final = 7
"""The version that the last step below leads to."""

MIGRATIONS: Final = Migrations("agentkit")

_MARK_AS_OURS: Final = "PRAGMA application_id = 0x41474B54"
_READ_APPLICATION: Final = "PRAGMA application_id"
_READ_VERSION: Final = "PRAGMA user_version"
_READ_SCHEMA: Final = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema"
# Kept by sqlite-utils and by ANALYZE; their text depends on the version of those.
_FOREIGN_BOOKS: Final = ("_sqlite_migrations", "sqlite_stat1", "sqlite_stat4", "sqlite_sequence")


@MIGRATIONS()
def first_schema(database: Database) -> None:
    """Conversations, turns, steps, journal, events, memories, knowledge."""
    for statement in (
        texts.CONVERSATIONS,
        texts.TURNS,
        texts.ONE_OPEN_TURN,
        texts.STEPS,
        texts.JOURNAL,
        "CREATE INDEX journal_turn ON journal (turn, result_step)",
        texts.EVENTS,
        texts.MEMORIES,
        "CREATE INDEX memories_turn ON memories (turn) WHERE turn IS NOT NULL",
        texts.MEMORY_MARKS,
        texts.DOCUMENTS,
        texts.CHUNKS,
        texts.KNOWLEDGE_VERSIONS,
        "PRAGMA user_version = 1",
    ):
        database.execute(statement)


@MIGRATIONS()
def knowledge_by_words(database: Database) -> None:
    """Where documents come from, their tags, and a full-text index of their chunks."""
    for statement in (
        "ALTER TABLE documents ADD COLUMN kind TEXT NOT NULL DEFAULT 'text'",
        "ALTER TABLE documents ADD COLUMN origin TEXT NOT NULL DEFAULT ''",
        texts.DOCUMENT_TAGS,
        texts.CHUNK_WORDS,
        "PRAGMA user_version = 2",
    ):
        database.execute(statement)
    for number, heading, text in database.execute("SELECT number, heading, text FROM chunks").fetchall():
        database.execute(
            "INSERT INTO chunk_words (rowid, heading, text) VALUES (?, ?, ?)",
            (number, searchable(heading), searchable(text)),
        )


@MIGRATIONS()
def inbox_and_leases(database: Database) -> None:
    """Messages that wait, who answers which conversation, and where a conversation was forked from."""
    for statement in (
        texts.LEASES,
        texts.INBOX,
        "CREATE INDEX inbox_waiting ON inbox (conversation, seq) WHERE turn IS NULL",
        "CREATE INDEX inbox_turn ON inbox (turn) WHERE turn IS NOT NULL",
        "ALTER TABLE conversations ADD COLUMN forked_from TEXT",
        "PRAGMA user_version = 3",
    ):
        database.execute(statement)


@MIGRATIONS()
def facts_and_summaries(database: Database) -> None:
    """What a fact is about and which one took its place; summaries of conversations."""
    for statement in (
        "ALTER TABLE memories ADD COLUMN about TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE memories ADD COLUMN replaced_by TEXT",
        texts.SUMMARIES,
        "PRAGMA user_version = 4",
    ):
        database.execute(statement)


@MIGRATIONS()
def approvals(database: Database) -> None:
    """Calls that wait for a person, and what was decided; files that tools made."""
    for statement in (
        texts.APPROVALS,
        texts.FILES,
        "CREATE INDEX approvals_waiting ON approvals (turn) WHERE status = 'waiting'",
        "PRAGMA user_version = 5",
    ):
        database.execute(statement)


@MIGRATIONS()
def hand_offs(database: Database) -> None:
    """Conversations that wait for a person, or that one has."""
    for statement in (
        texts.HAND_OFFS,
        "CREATE UNIQUE INDEX hand_offs_active ON hand_offs (conversation) WHERE status IN ('waiting', 'taken')",
        "CREATE INDEX hand_offs_turn ON hand_offs (turn)",
        "PRAGMA user_version = 6",
    ):
        database.execute(statement)


@MIGRATIONS()
def asked_otherwise(database: Database) -> None:
    """In which other words people ask for a chunk."""
    for statement in (
        "ALTER TABLE chunks ADD COLUMN asked TEXT NOT NULL DEFAULT '[]'",
        "PRAGMA user_version = 7",
    ):
        database.execute(statement)


def application_of(database: Database) -> int:
    """Whose file it is; 0 when nobody marked it."""
    return int(database.execute(_READ_APPLICATION).fetchone()[0])


def version_of(database: Database) -> int:
    """The schema version of a file; 0 for an empty one."""
    return int(database.execute(_READ_VERSION).fetchone()[0])


def apply(database: Database) -> None:
    """Take the steps that are pending and mark the file; inside a write transaction, so all or nothing."""
    MIGRATIONS.apply(database)
    mark(database)


def mark(database: Database) -> None:
    """Say that the file is ours."""
    database.execute(_MARK_AS_OURS)


def differences(database: Database) -> list[str]:
    """What the schema has that these steps do not make, and the other way round; empty when it is sound."""
    found, expected = _schema(database), _expected_schema()
    foreign = [f"{kind} {name} is not agentkit's" for kind, name in sorted(found.keys() - expected.keys())]
    missing = [f"{kind} {name} is missing" for kind, name in sorted(expected.keys() - found.keys())]
    altered = [f"{kind} {name} was altered" for kind, name in sorted(found) if _differs(kind, name, found)]
    return foreign + missing + altered


def _differs(kind: str, name: str, found: dict[tuple[str, str], str]) -> bool:
    return (kind, name) in _expected_schema() and found[kind, name] != _expected_schema()[kind, name]


def table_names() -> tuple[str, ...]:
    """The tables that these steps make, in the order they make them."""
    return tuple(
        name for kind, name in _expected_schema() if kind == "table" and not name.startswith("sqlite_")
    )


def is_empty(database: Database) -> bool:
    """Whether the file has no tables at all."""
    return database.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None


def _schema(database: Database) -> dict[tuple[str, str], str]:
    rows = database.execute(_READ_SCHEMA).fetchall()
    return {
        (kind, name): sql
        for kind, name, table, sql in rows
        if not (kind in ("table", "index") and table in _FOREIGN_BOOKS)
    }


@cache
def _expected_schema() -> dict[tuple[str, str], str]:
    database = _in_memory()
    try:
        MIGRATIONS.apply(database)
        return _schema(database)
    finally:
        database.close()


def _in_memory() -> Database:
    return Database(sqlite3.connect(":memory:", isolation_level=None), execute_plugins=False)
