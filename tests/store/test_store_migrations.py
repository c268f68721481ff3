"""The schema grows by steps that are all taken or none."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from agentkit.store import migrations
from agentkit.store.driver import sqlite3
from tests.store.samples import open_store, say

# The schema that each version leads to. A released step is never changed: a new one adds a line here.
FINGERPRINTS = {
    1: "316f5493ea8e4bbd",
    2: "5659057f65d344ff",
    3: "137cb6455ff14d8f",
    4: "3a4007ffea007759",
    5: "8d8c5bfc3d481667",
    6: "637fb1adc9ee35cc",
    7: "a691de6ae56e59b2",
}
READ_SCHEMA = """
SELECT sql FROM sqlite_schema
WHERE sql IS NOT NULL AND tbl_name <> '_sqlite_migrations' ORDER BY type, name"""


def in_memory() -> Database:
    return Database(sqlite3.connect(":memory:", isolation_level=None), execute_plugins=False)


def test_the_steps_lead_to_the_newest_version() -> None:
    with closing(in_memory()) as database:
        migrations.apply(database)
        assert migrations.version_of(database) == migrations.NEWEST_VERSION
        assert migrations.application_of(database) == migrations.APPLICATION_ID
        assert len(migrations.MIGRATIONS.applied(database)) == migrations.NEWEST_VERSION
        assert migrations.differences(database) == []


def test_no_released_step_was_changed() -> None:
    found = {}
    with closing(in_memory()) as database:
        steps = [step.name for step in migrations.MIGRATIONS.pending(database)]
        for number in range(1, migrations.NEWEST_VERSION + 1):
            migrations.MIGRATIONS.apply(database, stop_before=steps[number:])
            rows = database.execute(READ_SCHEMA).fetchall()
            text = "\n".join(row[0] for row in rows)
            found[number] = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert found == FINGERPRINTS


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "hello there")
    content = (tmp_path / "agentkit.db").read_bytes()
    for _ in range(3):
        with open_store(tmp_path):
            pass
        assert (tmp_path / "agentkit.db").read_bytes() == content


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        conversation = ada.new_conversation()
        say(ada, conversation, "hello there")

    steps = type(migrations.MIGRATIONS)("agentkit")
    steps._migrations = list(migrations.MIGRATIONS._migrations)

    @steps()
    def one_step_more(database: Database) -> None:
        database.execute("CREATE TABLE half (x)")
        database.execute("CREATE TABLE turns (x)")  # exists already

    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    monkeypatch.setattr(migrations, "NEWEST_VERSION", migrations.NEWEST_VERSION + 1)
    with pytest.raises(Exception, match="turns already exists"):
        open_store(tmp_path)
    monkeypatch.undo()
    with open_store(tmp_path) as store:
        assert len(store.for_user("shop", "ada").transcript(conversation)) == 2
