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

from agentkit.store.driver import sqlite3
from agentkit.store.full_text import searchable

APPLICATION_ID: Final = 0x41474B54
"""Marks a database as ours: the letters AGKT."""

NEWEST_VERSION: Final = 5
"""The version that the last step below leads to."""

MIGRATIONS: Final = Migrations("agentkit")

_MARK_AS_OURS: Final = "PRAGMA application_id = 0x41474B54"
_READ_APPLICATION: Final = "PRAGMA application_id"
_READ_VERSION: Final = "PRAGMA user_version"
_READ_SCHEMA: Final = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema"
# Kept by sqlite-utils and by ANALYZE; their text depends on the version of those.
_FOREIGN_BOOKS: Final = ("_sqlite_migrations", "sqlite_stat1", "sqlite_stat4", "sqlite_sequence")

_CONVERSATIONS: Final = """
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    seq INTEGER NOT NULL,
    title TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (tenant, user, seq)
) STRICT"""

_TURNS: Final = """
CREATE TABLE turns (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    conversation INTEGER NOT NULL REFERENCES conversations (number),
    seq INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'done', 'limited', 'interrupted')),
    message TEXT NOT NULL,
    reply TEXT,
    created_at TEXT NOT NULL,
    finished_at TEXT,
    UNIQUE (conversation, seq),
    CHECK ((status = 'open') = (reply IS NULL))
) STRICT"""

_ONE_OPEN_TURN: Final = "CREATE UNIQUE INDEX turns_open ON turns (conversation) WHERE status = 'open'"

_STEPS: Final = """
CREATE TABLE steps (
    turn INTEGER NOT NULL REFERENCES turns (number),
    seq INTEGER NOT NULL,
    message TEXT NOT NULL,
    usage TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (turn, seq)
) STRICT"""

# `step` and `position`: which call of which generation; `result_step`: the step that holds the result.
_JOURNAL: Final = """
CREATE TABLE journal (
    conversation INTEGER NOT NULL REFERENCES conversations (number),
    call_id TEXT NOT NULL,
    turn INTEGER NOT NULL REFERENCES turns (number),
    step INTEGER NOT NULL,
    position INTEGER NOT NULL,
    call TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('written', 'started', 'finished', 'unknown')),
    effect TEXT,
    idempotent INTEGER,
    result_step INTEGER,
    created_at TEXT NOT NULL,
    PRIMARY KEY (conversation, call_id),
    UNIQUE (turn, step, position),
    CHECK ((status IN ('written', 'started')) = (result_step IS NULL))
) STRICT"""

_EVENTS: Final = """
CREATE TABLE events (
    turn INTEGER NOT NULL REFERENCES turns (number),
    seq INTEGER NOT NULL,
    event TEXT NOT NULL,
    UNIQUE (turn, seq)
) STRICT"""

# The vector comes last, so that reading the columns before it does not touch its overflow pages.
_MEMORIES: Final = """
CREATE TABLE memories (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    trust TEXT NOT NULL,
    importance REAL NOT NULL,
    turn INTEGER REFERENCES turns (number),
    created_at TEXT NOT NULL,
    encoder TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    vector BLOB,
    UNIQUE (tenant, user, seq)
) STRICT"""

_MEMORY_MARKS: Final = """
CREATE TABLE memory_marks (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    added INTEGER NOT NULL,
    rewritten INTEGER NOT NULL,
    PRIMARY KEY (tenant, user)
) STRICT, WITHOUT ROWID"""

_DOCUMENTS: Final = """
CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    collection TEXT NOT NULL,
    path TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    encoder TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (tenant, collection, path)
) STRICT"""

# AUTOINCREMENT: the id of a chunk that is gone never means another text.
_CHUNKS: Final = """
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    first_character INTEGER NOT NULL,
    end_character INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (document, seq)
) STRICT"""

_KNOWLEDGE_VERSIONS: Final = """
CREATE TABLE knowledge_versions (
    tenant TEXT NOT NULL,
    collection TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant, collection)
) STRICT, WITHOUT ROWID"""

_DOCUMENT_TAGS: Final = """
CREATE TABLE document_tags (
    document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (document, tag)
) STRICT, WITHOUT ROWID"""

# The words of the chunks, by their numbers, in the form of `full_text.searchable`. It keeps no text of its own.
_CHUNK_WORDS: Final = """
CREATE VIRTUAL TABLE chunk_words USING fts5 (
    heading, text, content = '', tokenize = 'porter unicode61 remove_diacritics 2'
)"""

# What the turns before number `through` of a conversation said, in short. A longer one does not replace a shorter one.
_SUMMARIES: Final = """
CREATE TABLE summaries (
    conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
    through INTEGER NOT NULL,
    text TEXT NOT NULL,
    trust TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (conversation, through)
) STRICT"""

# The newest lease of a conversation stays, so that its fencing numbers only grow. `until` is a time of a clock that
# nobody sets; who reads it on another boot sees by `seconds` that it cannot be right.
_LEASES: Final = """
CREATE TABLE leases (
    conversation INTEGER PRIMARY KEY REFERENCES conversations (number) ON DELETE CASCADE,
    fence INTEGER NOT NULL,
    holder TEXT,
    until REAL NOT NULL,
    seconds REAL NOT NULL,
    stop INTEGER NOT NULL
) STRICT"""

# `message` is here until a turn holds it.
_INBOX: Final = """
CREATE TABLE inbox (
    conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    client_msg_id TEXT,
    policy TEXT NOT NULL,
    message TEXT,
    turn INTEGER REFERENCES turns (number) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    UNIQUE (conversation, seq),
    UNIQUE (conversation, client_msg_id),
    CHECK ((message IS NULL) = (turn IS NOT NULL))
) STRICT"""

# `call`: as the generator wrote it; `arguments`: what the person was shown, ids in place of handles, and `hash` over
# tool and arguments; `settled`: what it runs with, if it runs.
_APPROVALS: Final = """
CREATE TABLE approvals (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    turn INTEGER NOT NULL REFERENCES turns (number),
    call_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    effect TEXT NOT NULL,
    arguments TEXT NOT NULL,
    hash TEXT NOT NULL,
    reasons TEXT NOT NULL,
    profile TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('waiting', 'approved', 'changed', 'rejected', 'used')),
    settled TEXT,
    settled_hash TEXT,
    answered_by TEXT,
    answer TEXT,
    created_at TEXT NOT NULL,
    answered_at TEXT,
    UNIQUE (turn, call_id),
    CHECK ((status = 'waiting') = (answered_at IS NULL))
) STRICT"""

# Named by the SHA-256 of the content; the content comes last, so that reading the columns before it is cheap.
_FILES: Final = """
CREATE TABLE files (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    hash TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    created_at TEXT NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (tenant, user, hash)
) STRICT"""


@MIGRATIONS()
def first_schema(database: Database) -> None:
    """Conversations, turns, steps, journal, events, memories, knowledge."""
    for statement in (
        _CONVERSATIONS,
        _TURNS,
        _ONE_OPEN_TURN,
        _STEPS,
        _JOURNAL,
        "CREATE INDEX journal_turn ON journal (turn, result_step)",
        _EVENTS,
        _MEMORIES,
        "CREATE INDEX memories_turn ON memories (turn) WHERE turn IS NOT NULL",
        _MEMORY_MARKS,
        _DOCUMENTS,
        _CHUNKS,
        _KNOWLEDGE_VERSIONS,
        "PRAGMA user_version = 1",
    ):
        database.execute(statement)


@MIGRATIONS()
def knowledge_by_words(database: Database) -> None:
    """Where documents come from, their tags, and a full-text index of their chunks."""
    for statement in (
        "ALTER TABLE documents ADD COLUMN kind TEXT NOT NULL DEFAULT 'text'",
        "ALTER TABLE documents ADD COLUMN origin TEXT NOT NULL DEFAULT ''",
        _DOCUMENT_TAGS,
        _CHUNK_WORDS,
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
        _LEASES,
        _INBOX,
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
        _SUMMARIES,
        "PRAGMA user_version = 4",
    ):
        database.execute(statement)


@MIGRATIONS()
def approvals(database: Database) -> None:
    """Calls that wait for a person, and what was decided; files that tools made."""
    for statement in (
        _APPROVALS,
        _FILES,
        "CREATE INDEX approvals_waiting ON approvals (turn) WHERE status = 'waiting'",
        "PRAGMA user_version = 5",
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
