"""A file of every released schema is brought to the newest one, all or nothing, also when the process is killed."""

from __future__ import annotations

import json
import shutil
import signal
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from sqlite_utils import Database

from agentkit.messages import assistant, dump_message, text_of, user
from agentkit.store import migrations
from agentkit.store.driver import sqlite3
from agentkit.store.sqlite_store import SqliteStore
from tests.store.migrate_and_die import Job, migrate
from tests.store.process import run_file
from tests.store.samples import open_store, say

VERSIONS: Final = range(1, migrations.NEWEST_VERSION + 1)
CONVERSATION: Final = "00000000-0000-7000-8000-000000000001"
TURN: Final = "00000000-0000-7000-8000-000000000002"
TIME: Final = "2026-01-01T00:00:00+00:00"


def old_file(path: Path, version: int) -> Path:
    """A database as the release with this schema left it, with one turn."""
    with closing(
        Database(sqlite3.connect(str(path), isolation_level=None), execute_plugins=False)
    ) as database:
        later = [step.name for step in migrations.MIGRATIONS.pending(database)][version:]
        migrations.MIGRATIONS.apply(database, stop_before=later)
        migrations.mark(database)
        database.execute(
            "INSERT INTO conversations (number, id, tenant, user, seq, title, created_at) "
            "VALUES (1, ?, ?, ?, 0, '', ?)",
            (CONVERSATION, "shop", "ada", TIME),
        )
        database.execute(
            "INSERT INTO turns (id, conversation, seq, status, message, reply, created_at) "
            "VALUES (?, 1, 0, 'done', ?, ?, ?)",
            (TURN, dump_message(user("hello there")), dump_message(assistant("Hello.")), TIME),
        )
        database.execute("PRAGMA journal_mode = WAL")
    return path


def check(path: Path) -> None:
    with SqliteStore.open(path) as store:
        ada = store.for_user("shop", "ada")
        assert [text_of(message) for message in ada.transcript(CONVERSATION)] == ["hello there", "Hello."]
        say(ada, CONVERSATION, "it goes on")
        accepted = ada.accept(CONVERSATION, user("and on"), claim_seconds=1)
        assert accepted.claim is not None
        assert accepted.claim.turn.turn.seq == 2
        assert ada.fork(TURN)
        assert store.problems() == []
        assert migrations.version_of(store._connection.database) == migrations.NEWEST_VERSION


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_an_old_release_is_brought_up_to_date(version: int, tmp_path: Path) -> None:
    check(old_file(tmp_path / "agentkit.db", version))


@pytest.mark.kill
@pytest.mark.parametrize("version", [0, *VERSIONS[:-1]])
def test_a_kill_in_mid_migration_leaves_the_old_file_or_the_new_one(version: int, tmp_path: Path) -> None:
    template = tmp_path / "template.db"
    if version:
        old_file(template, version)
    else:
        template.touch()
    counted = Path(shutil.copy(template, tmp_path / "counted.db"))
    statements = migrate(Job(path=str(counted), kill_at=-1))
    assert statements > 10
    jobs = [
        Job(path=str(shutil.copy(template, tmp_path / f"{number}.db")), kill_at=number)
        for number in range(statements)
    ]
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps(jobs))
    assert json.loads(run_file("tests/store/migrate_and_die.py", path)) == [signal.SIGKILL] * statements
    for job in jobs:
        if version:
            check(Path(job["path"]))
        else:
            with SqliteStore.open(job["path"]) as store:
                assert store.problems() == []


def test_two_processes_that_open_an_old_file_at_once_migrate_it_once(tmp_path: Path) -> None:
    from tests.store.test_store_many_at_once import SAY_MUCH, processes

    old_file(tmp_path / "agentkit.db", 1)
    processes(tmp_path, SAY_MUCH, ["ben", "cem", "dee"], 3)
    with open_store(tmp_path) as store:
        assert store.problems() == []
    check(tmp_path / "agentkit.db")
