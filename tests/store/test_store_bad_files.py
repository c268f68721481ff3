"""Files that cannot be used: each gets an error that names the file and helps, and nothing is lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from agentkit.errors import StoreCorrupt, StoreError, StoreLocked, StoreTooNew
from agentkit.messages import user
from agentkit.store import migrations, opening
from agentkit.store.sqlite_store import SqliteStore
from tests.store.process import AS_AN_ORDINARY_USER, SAY_SOMETHING, folder_for_everybody, run
from tests.store.samples import open_store, say

HOLD_THE_WRITE_LOCK: Final = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE" if sys.argv[2] == "writing" else "BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(path: Path, doing: str = "writing") -> Iterator[None]:
    """Another process holds the write lock of a database."""
    command = [sys.executable, "-c", HOLD_THE_WRITE_LOCK, str(path), doing]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.stdin.close()


def test_a_database_that_another_process_is_writing_to_is_locked(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        conversation = ada.new_conversation()
        turn_id = say(ada, conversation, "before")
        path = tmp_path / "agentkit.db"
        with another_process(path):
            with pytest.raises(StoreLocked, match=r"agentkit\.db is locked") as problem:
                ada.begin_turn(conversation, user("meanwhile"))
            assert "busy_timeout" in problem.value.hint
            with pytest.raises(StoreLocked, match=r"agentkit\.db is locked"):
                open_store(tmp_path)
            assert len(ada.transcript(conversation)) == 2  # reading goes on
        assert [turn.id for turn in ada.turns(conversation)] == [turn_id]
        say(ada, conversation, "afterwards")


def test_a_write_waits_for_the_other_process(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "agentkit.db", busy_timeout=30) as store:
        ada = store.for_user("shop", "ada")
        conversation = ada.new_conversation()
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_THE_WRITE_LOCK, str(tmp_path / "agentkit.db"), "writing"],
            stdin=subprocess.DEVNULL,  # it ends by itself, some time after it has the lock
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            say(ada, conversation, "patience")


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    for content in (
        b"Dear shop, my sofa is the grey one.\n" * 100,
        b"hello",
        b"SQLite format 3\x00 but not really",
    ):
        path.write_bytes(content)
        with pytest.raises(StoreCorrupt, match=r"letter\.txt is not a SQLite database") as problem:
            SqliteStore.open(path)
        assert "does not exist yet" in problem.value.hint
        assert path.read_bytes() == content


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE orders (id)")
        other.commit()
    content = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=r"shop\.db is a SQLite database of another program"):
        SqliteStore.open(path)
    assert path.read_bytes() == content


def test_a_marked_but_empty_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA application_id = 77")
    content = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="another program"):
        SqliteStore.open(path)
    assert path.read_bytes() == content


def test_a_database_of_a_newer_version_is_left_untouched(tmp_path: Path) -> None:
    path, newest = tmp_path / "agentkit.db", migrations.NEWEST_VERSION
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "from the future")
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {newest + 1}")
    content = path.read_bytes()
    with pytest.raises(
        StoreTooNew, match=f"schema version {newest + 1}; this agentkit knows {newest}"
    ) as problem:
        SqliteStore.open(path)
    assert "Upgrade agentkit" in problem.value.hint
    assert path.read_bytes() == content


def test_the_log_of_a_newer_version_is_left_untouched_too(tmp_path: Path) -> None:
    # The newer agentkit was killed: its last commits are in the write-ahead log only.
    run(
        SAY_SOMETHING
        + """
import sqlite3
path = Path(sys.argv[1]) / "agentkit.db"
store = open_store(path.parent)
connection = sqlite3.connect(path)
connection.execute("PRAGMA user_version = 99")
os._exit(0)
""",
        tmp_path,
    )
    files = sorted(path for path in tmp_path.iterdir() if not path.name.endswith("-shm"))
    content = [path.read_bytes() for path in files]
    assert [path.name for path in files] == ["agentkit.db", "agentkit.db-wal"]
    with pytest.raises(StoreTooNew, match="schema version 99"):
        SqliteStore.open(tmp_path / "agentkit.db")
    assert [path.read_bytes() for path in files] == content


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder") as problem:
        SqliteStore.open(tmp_path)
    assert "agentkit.db" in problem.value.hint


def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bot #1?" / "agentkit.db"
    SqliteStore.open(path).close()
    with SqliteStore.open(path) as store:
        assert store.problems() == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"file/agentkit\.db cannot be created: a folder above it is a file"):
        SqliteStore.open(tmp_path / "file" / "agentkit.db")


def test_a_new_database_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    with open_store(tmp_path):
        modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {0o600}


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "agentkit.db").touch()
    with open_store(tmp_path) as store:
        assert store.problems() == []


def test_a_read_only_file_is_noticed_before_a_message_is_accepted() -> None:
    with folder_for_everybody() as folder:
        with open_store(folder):
            pass
        (folder / "agentkit.db").chmod(0o444)
        said = run(AS_AN_ORDINARY_USER, folder)
    assert said.startswith("StoreReadOnly")
    assert "agentkit.db cannot be written" in said
    assert "choose another path" in said


def test_a_read_only_folder_is_noticed_before_a_message_is_accepted() -> None:
    with folder_for_everybody() as folder:
        with open_store(folder):
            pass
        (folder / "agentkit.db").chmod(0o666)
        folder.chmod(0o555)
        said = run(AS_AN_ORDINARY_USER, folder)
    assert said.startswith("StoreReadOnly")


def test_a_new_file_in_a_read_only_folder_is_refused() -> None:
    with folder_for_everybody() as folder:
        folder.chmod(0o555)
        said = run(AS_AN_ORDINARY_USER, folder)
    assert said.startswith("StoreReadOnly")


def test_a_file_that_may_not_be_read_is_named() -> None:
    with folder_for_everybody() as folder:
        with open_store(folder):
            pass
        (folder / "agentkit.db").chmod(0o000)
        said = run(AS_AN_ORDINARY_USER, folder)
    assert said.startswith(("StoreReadOnly", "StoreError"))
    assert "agentkit.db" in said


def test_a_writable_folder_works_for_an_ordinary_user() -> None:
    with folder_for_everybody() as folder:
        assert run(AS_AN_ORDINARY_USER, folder) == "stored"


def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        conversation = ada.new_conversation()
        say(ada, conversation, "before")
    said = run(
        """
import resource, sys
from pathlib import Path
from agentkit.errors import StoreError
from agentkit.messages import user
from tests.store.samples import open_store, say

with open_store(Path(sys.argv[1])) as store:
    ada = store.for_user("shop", "ada")
    conversation = ada.latest_conversation()
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    try:
        for number in range(1000):
            say(ada, conversation, f"message {number} " * 100)
    except StoreError as error:
        print(type(error).__name__, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for left in store.open_turns():
        print("still open:", left.turn.seq)
    print(number, len([turn for turn in ada.turns(conversation) if turn.status == "done"]))
""",
        tmp_path,
    )
    lines = said.splitlines()
    assert lines[0].startswith("StoreError")
    assert "This write was undone." in lines[0]
    number, done = (int(word) for word in lines[-1].split())
    assert number > 0
    assert done == number + 1  # the one before and every one that was acknowledged
    with open_store(tmp_path) as store:
        assert store.problems() == []


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        conversation = ada.new_conversation()
        # SQLite reports a file at its largest size exactly as it does a full disk.
        store._connection.database.execute("PRAGMA max_page_count = 60")
        committed = [say(ada, conversation, "before")]
        with pytest.raises(StoreError, match="the disk is full") as problem:
            committed.extend(say(ada, conversation, "message " * 200) for _ in range(1000))
        assert "Free some space" in problem.value.hint
        store._connection.database.execute("PRAGMA max_page_count = 1000000")
        assert [turn.id for turn in ada.turns(conversation) if turn.status == "done"] == committed
        for left in store.open_turns():
            assert left.message.parts[0].text == "message " * 200
        assert store.problems() == []


def test_a_damaged_page_is_reported_as_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "agentkit.db"
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        conversation = ada.new_conversation()
        for number in range(30):
            say(ada, conversation, f"message {number} " * 50)
    content = bytearray(path.read_bytes())
    for page in range(56, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = bytes([page % 251]) * 64
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"agentkit\.db is damaged"):
        open_store(tmp_path)
    # A start that has no time to look at every page: what is damaged is found when it is read.
    monkeypatch.setattr(opening, "_CHECK_SECONDS", -1.0)
    monkeypatch.setattr(opening, "_CHECK_STEP", 1)
    with open_store(tmp_path) as store:
        assert store.problems() != []
        ada = store.for_user("shop", "ada")
        with pytest.raises(StoreCorrupt, match=r"agentkit\.db is damaged") as problem:
            ada.transcript(conversation)
    assert "backup" in problem.value.hint


def test_a_half_written_file_is_reported_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "agentkit.db"
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "hello there")
    path.write_bytes(path.read_bytes()[:8192])
    with pytest.raises(StoreCorrupt, match=r"agentkit\.db"):
        SqliteStore.open(path)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    ada = store.for_user("shop", "ada")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        ada.conversations()
