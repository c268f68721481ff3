"""The texts of the tables, as the steps of `migrations` make them: a released text is never changed."""

from __future__ import annotations

from typing import Final

CONVERSATIONS: Final = """
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

TURNS: Final = """
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

ONE_OPEN_TURN: Final = "CREATE UNIQUE INDEX turns_open ON turns (conversation) WHERE status = 'open'"

STEPS: Final = """
CREATE TABLE steps (
    turn INTEGER NOT NULL REFERENCES turns (number),
    seq INTEGER NOT NULL,
    message TEXT NOT NULL,
    usage TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (turn, seq)
) STRICT"""

# `step` and `position`: which call of which generation; `result_step`: the step that holds the result.
JOURNAL: Final = """
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

EVENTS: Final = """
CREATE TABLE events (
    turn INTEGER NOT NULL REFERENCES turns (number),
    seq INTEGER NOT NULL,
    event TEXT NOT NULL,
    UNIQUE (turn, seq)
) STRICT"""

# The vector comes last, so that reading the columns before it does not touch its overflow pages.
MEMORIES: Final = """
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

MEMORY_MARKS: Final = """
CREATE TABLE memory_marks (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    added INTEGER NOT NULL,
    rewritten INTEGER NOT NULL,
    PRIMARY KEY (tenant, user)
) STRICT, WITHOUT ROWID"""

DOCUMENTS: Final = """
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
CHUNKS: Final = """
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

KNOWLEDGE_VERSIONS: Final = """
CREATE TABLE knowledge_versions (
    tenant TEXT NOT NULL,
    collection TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant, collection)
) STRICT, WITHOUT ROWID"""

DOCUMENT_TAGS: Final = """
CREATE TABLE document_tags (
    document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (document, tag)
) STRICT, WITHOUT ROWID"""

# The words of the chunks, by their numbers, in the form of `full_text.searchable`. It keeps no text of its own.
CHUNK_WORDS: Final = """
CREATE VIRTUAL TABLE chunk_words USING fts5 (
    heading, text, content = '', tokenize = 'porter unicode61 remove_diacritics 2'
)"""

# What the turns before number `through` of a conversation said, in short. A longer one does not replace a shorter one.
SUMMARIES: Final = """
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
LEASES: Final = """
CREATE TABLE leases (
    conversation INTEGER PRIMARY KEY REFERENCES conversations (number) ON DELETE CASCADE,
    fence INTEGER NOT NULL,
    holder TEXT,
    until REAL NOT NULL,
    seconds REAL NOT NULL,
    stop INTEGER NOT NULL
) STRICT"""

# `message` is here until a turn holds it.
INBOX: Final = """
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
APPROVALS: Final = """
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
FILES: Final = """
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
