"""The database cannot run code: not through its schema, not through SQL, not through what its rows hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agentkit.errors import StoreCorrupt
from agentkit.messages import user
from agentkit.store.driver import sqlite3 as driver
from agentkit.store.protocol import NewChunk, NewDocument, UserStore
from agentkit.store.sqlite_store import SqliteStore
from tests.store.samples import (
    DONE,
    memory,
    open_store,
    say,
    turn_with_started_call,
    unit,
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "hello there")
        ada.finish_call(turn_with_started_call(ada), DONE)
        chunk = NewChunk("", "one", 0, 3, unit(1.0, 0.0), ("when?",))
        store.knowledge("shop").replace_documents([NewDocument("a.md", "hash", "e", [chunk])])
    return tmp_path / "agentkit.db"


def change(database: Path, *statements: str) -> None:
    """Change a database behind the back of agentkit."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_settings_that_keep_code_and_loss_out_are_on(database: Path) -> None:
    expected = {
        "trusted_schema": 0,
        "foreign_keys": 1,
        "cell_size_check": 1,
        "mmap_size": 0,
        "synchronous": 2,
        "journal_mode": "wal",
    }
    with SqliteStore.open(database) as store:
        connection = store._connection
        found = {name: connection.database.execute(f"PRAGMA {name}").fetchone()[0] for name in expected}
    assert found == expected


def test_no_extension_can_be_loaded(database: Path) -> None:
    with SqliteStore.open(database) as store, pytest.raises(driver.Error, match="not authorized"):
        store._connection.database.execute("SELECT load_extension('evil.so')")


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "CREATE TRIGGER planted AFTER INSERT ON turns BEGIN DELETE FROM turns; END",
            "trigger planted is not agentkit's",
        ),
        ("CREATE VIEW planted AS SELECT * FROM turns", "view planted is not agentkit's"),
        ("CREATE TABLE planted (x)", "table planted is not agentkit's"),
        ("CREATE VIRTUAL TABLE planted USING fts5 (x)", "table planted is not agentkit's"),
        ("CREATE INDEX planted ON turns (abs(seq))", "index planted is not agentkit's"),
        ("ALTER TABLE turns ADD COLUMN x INTEGER AS (abs(seq))", "table turns was altered"),
        ("DROP INDEX turns_open", "index turns_open is missing"),
    ],
)
def test_a_planted_schema_is_refused_and_named(database: Path, statement: str, named: str) -> None:
    change(database, statement)
    with pytest.raises(StoreCorrupt, match=r"agentkit\.db is not the one that agentkit made") as problem:
        SqliteStore.open(database)
    assert named in problem.value.message


def test_a_view_in_place_of_a_table_is_refused(database: Path) -> None:
    change(
        database,
        "ALTER TABLE events RENAME TO kept",
        "CREATE VIEW events AS SELECT turn, seq, event FROM kept",
    )
    with pytest.raises(StoreCorrupt, match="view events is not agentkit's"):
        SqliteStore.open(database)


def read_everything(store: SqliteStore) -> None:
    store.open_turns()
    ada = store.for_user("shop", "ada")
    for conversation in ada.conversations():
        ada.transcript(conversation.id)
        for turn in ada.turns(conversation.id):
            ada.events(turn.id)
            ada.journal(turn.id)
    ada.memories()
    ada.memory_vectors("encoder-a")
    knowledge = store.knowledge("shop")
    knowledge.documents()
    knowledge.chunks(knowledge.chunk_ids("e"))


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("turns", """UPDATE turns SET message = '{"role": "user", "parts": [], "run": "rm -rf"}'"""),
        ("turns", """UPDATE turns SET message = '{"role": "system", "parts": []}'"""),
        ("turns", "UPDATE turns SET message = 'cos\nsystem\n(S''true''\ntR.'"),
        ("turns", "UPDATE turns SET reply = '[]' WHERE status = 'done'"),
        ("turns", "UPDATE turns SET created_at = 'yesterday'"),
        ("steps", """UPDATE steps SET message = '{"role": "user", "parts": []}'"""),
        ("steps", "UPDATE steps SET usage = '[1, 2]'"),
        ("steps", "UPDATE steps SET message = '" + "[" * 10_000 + "'"),
        ("journal", "UPDATE journal SET call = '{}'"),
        ("journal", "UPDATE journal SET effect = 'explode'"),
        ("events", """UPDATE events SET event = '{"type": "planted"}'"""),
        ("memories", "UPDATE memories SET trust = 'root'"),
        ("memories", "UPDATE memories SET kind = 'order'"),
        ("memories", "UPDATE memories SET vector = x'00'"),
        ("memories", "UPDATE memories SET dimension = 4"),
        ("conversations", "UPDATE conversations SET created_at = ''"),
        ("documents", "UPDATE documents SET updated_at = 'x'"),
        ("chunks", "UPDATE chunks SET asked = 'when?'"),
        ("chunks", "UPDATE chunks SET asked = '[1]'"),
    ],
)
def test_a_poisoned_row_is_refused_and_named(database: Path, table: str, statement: str) -> None:
    with SqliteStore.open(database) as store:
        read_everything(store)
    change(database, statement)
    with SqliteStore.open(database) as store, pytest.raises(StoreCorrupt, match=f"table {table} ") as problem:
        read_everything(store)
    assert "Row " in problem.value.message
    assert problem.value.hint


def test_text_that_is_no_text_is_refused(database: Path) -> None:
    change(database, "UPDATE conversations SET title = CAST(x'ff00fe' AS TEXT)")
    with SqliteStore.open(database) as store, pytest.raises(StoreCorrupt, match="UTF-8"):
        read_everything(store)


@pytest.mark.parametrize("name", ["'; DROP TABLE turns; --", "\x00", '"', "%", "_", "ada' OR '1'='1"])
def test_names_and_texts_are_data_and_never_sql(tmp_path: Path, name: str) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "hello there")
        other: UserStore = store.for_user(name, name)
        assert other.conversations() == []
        conversation = other.new_conversation(name)
        other.begin_turn(conversation, user(name))
        other.add_memory(memory(name, unit(1, 2)))
        store.knowledge(name, name).replace_documents(
            [NewDocument(name, name, name, [], origin=name, tags=[name])]
        )
        assert [record.text for record in other.memories()] == [name]
        assert [document.path for document in store.knowledge(name, name).documents()] == [name]
        assert len(ada.memories()) == 1
        assert store.problems() == []
