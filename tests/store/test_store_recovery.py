"""What is readable of a damaged database is saved into a new one that keeps the contract."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from agentkit.errors import StoreCorrupt, StoreError
from agentkit.messages import assistant, text_of, unanswered_calls, user
from agentkit.store.driver import sqlite3
from agentkit.store.protocol import NewChunk, NewDocument
from agentkit.store.recovery import recover
from agentkit.store.sqlite_store import SqliteStore
from tests.store.samples import CALL, DONE, finish, open_store, say, turn_with_started_call, unit

_PAGE = 4096


def filled(folder: Path, turns: int = 60) -> Path:
    """A database with two users, calls, an open turn, a waiting message and a document."""
    with open_store(folder) as store:
        for name in ("ada", "ben"):
            user_store = store.for_user("shop", name)
            conversation = user_store.new_conversation()
            for number in range(turns):
                say(user_store, conversation, f"{name} says {number} " * 20)
            turn = user_store.begin_turn(conversation, user("cancel it"))
            user_store.record_step(turn.id, 0, assistant("", [CALL]))
            user_store.start_call(turn.id, CALL, effect="write", idempotent=False)
            user_store.finish_call(turn.id, DONE)
            finish(user_store, turn.id, "cancel it")
        ada = store.for_user("shop", "ada")
        turn_with_started_call(ada)
        ada.accept(ada.new_conversation(), user("waiting"))
        store.knowledge("shop").replace_documents(
            [
                NewDocument(
                    "a.md", "hash", "e", [NewChunk("Wood", "oak chairs", 0, 10, unit(1, 0))], tags=("wood",)
                )
            ]
        )
    return folder / "agentkit.db"


def damage(path: Path, pages: list[int]) -> None:
    content = bytearray(path.read_bytes())
    for page in pages:
        content[page * _PAGE : (page + 1) * _PAGE] = bytes([page % 251]) * _PAGE
    path.write_bytes(content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("whole"))


def roots_of(path: Path) -> set[int]:
    """The root pages of tables and indexes, counted from 0."""
    with closing(sqlite3.connect(path)) as raw:
        rows = raw.execute("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0").fetchall()
    return {0, *(root - 1 for (root,) in rows)}


def problems_of(path: Path) -> list[str]:
    """What is wrong with a recovered database: it must be sound, dense, and every call must have a result."""
    with SqliteStore.open(path) as store:
        found = store.problems()
        for name in ("ada", "ben"):
            user_store = store.for_user("shop", name)
            for conversation in user_store.conversations():
                turns = user_store.turns(conversation.id)
                if [turn.seq for turn in turns] != list(range(len(turns))):
                    found.append(f"turns of {conversation.id} have gaps")
                if unanswered_calls(user_store.transcript(conversation.id)):
                    found.append(f"{conversation.id} has a call without a result")
                for turn in turns:
                    user_store.events(turn.id)
                    user_store.journal(turn.id)
            user_store.memory_changes("encoder-a")
            say(user_store, user_store.new_conversation(), "it goes on")
        store.open_turns()
        store.unattended()
        return found


def test_a_sound_database_is_saved_whole(whole: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(whole, tmp_path / "agentkit.db"))
    with SqliteStore.open(path) as store:
        ada = store.for_user("shop", "ada")
        conversation = ada.conversations()[0].id
        said, memories, left = ada.transcript(conversation), ada.memories(), store.open_turns()
        waiting = ada.waiting(ada.conversations()[2].id)
    report = recover(path, tmp_path / "new.db")
    assert (report.torn, report.refused, set(report.gaps.values())) == (0, 0, {0})
    with SqliteStore.open(tmp_path / "new.db") as store:
        ada = store.for_user("shop", "ada")
        assert (ada.transcript(conversation), ada.memories(), store.open_turns()) == (said, memories, left)
        assert ada.waiting(ada.conversations()[2].id) == waiting
        table = store.knowledge("shop")
        assert [each.tags for each in table.documents()] == [("wood",)]
        found = [number for number, _ in table.chunks_with_words(["chair"], 9)]
        assert [each.text for each in table.chunks(found)] == ["oak chairs"]
        table.remove_documents(["a.md"])
        assert table.chunks_with_words(["chair"], 9) == []
    assert problems_of(tmp_path / "new.db") == []


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_database_is_refused_and_most_of_it_is_saved(
    seed: int, whole: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(whole, tmp_path / "agentkit.db"))
    leaves = sorted(set(range(path.stat().st_size // _PAGE)) - roots_of(path))
    damage(path, random.Random(seed).sample(leaves, 4))
    content = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="is damaged") as problem:
        SqliteStore.open(path)
    assert f"agentkit doctor --recover {path}" in problem.value.hint
    report = recover(path, tmp_path / "new.db")
    assert path.read_bytes() == content
    assert report.rows["turns"] >= 80  # of 123: a page holds about eight
    assert problems_of(tmp_path / "new.db") == []


@pytest.mark.parametrize("seed", range(4))
def test_what_is_saved_is_whole_also_where_the_roots_of_tables_are_lost(
    seed: int, whole: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(whole, tmp_path / "agentkit.db"))
    damage(path, random.Random(seed).sample(sorted(roots_of(path)), 3))
    recover(path, tmp_path / "new.db")
    assert problems_of(tmp_path / "new.db") == []


def test_a_conversation_whose_row_is_lost_is_known_by_its_memories(whole: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(whole, tmp_path / "agentkit.db"))
    with closing(sqlite3.connect(path)) as raw:
        ((root,),) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'conversations'")
    damage(path, [root - 1])
    report = recover(path, tmp_path / "new.db")
    assert report.rows["turns"] == 122  # all but the open one, of which nothing is remembered
    with SqliteStore.open(tmp_path / "new.db") as store:
        ben = store.for_user("shop", "ben")
        [conversation] = ben.conversations()
        assert text_of(ben.transcript(conversation.id)[0]).startswith("ben says 0")


def test_nothing_that_is_saved_was_invented(whole: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(whole, tmp_path / "agentkit.db"))
    with SqliteStore.open(path) as store:
        ada = store.for_user("shop", "ada")
        before = [text_of(each) for each in ada.transcript(ada.conversations()[0].id)]
    damage(path, list(range(25, 40)))
    recover(path, tmp_path / "new.db")
    with SqliteStore.open(tmp_path / "new.db") as store:
        ada = store.for_user("shop", "ada")
        after = [text_of(each) for each in ada.transcript(ada.conversations()[0].id)]
    assert set(after) <= set(before)


def test_a_database_that_lost_its_first_page_is_read_by_the_pages_of_a_new_one(
    whole: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(whole, tmp_path / "agentkit.db"))
    damage(path, [0])
    with pytest.raises(StoreCorrupt, match="is not a SQLite database"):
        SqliteStore.open(path)
    report = recover(path, tmp_path / "new.db")
    assert (report.rows["turns"], report.torn) == (123, 0)
    assert problems_of(tmp_path / "new.db") == []


def test_of_a_file_that_is_no_database_nothing_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear shop, " * 100)
    with pytest.raises(StoreCorrupt, match="Nothing can be read"):
        recover(path, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_a_recovery_overwrites_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path, turns=3)
    with pytest.raises(StoreError, match="exists already"):
        recover(path, path)
    with pytest.raises(StoreError, match="is not a file"):
        recover(tmp_path / "no.db", tmp_path / "new.db")


def test_a_recovery_says_that_there_is_no_folder_for_it(tmp_path: Path) -> None:
    with open_store(tmp_path):
        pass
    with pytest.raises(StoreError, match=r"There is no folder .*missing"):
        recover(tmp_path / "agentkit.db", tmp_path / "missing" / "new.db")


def test_the_log_of_a_killed_process_is_saved_too(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    ada = store.for_user("shop", "ada")
    say(ada, ada.new_conversation(), "only in the log")
    report = recover(tmp_path / "agentkit.db", tmp_path / "new.db")
    store.close()
    assert report.rows["turns"] == 1
