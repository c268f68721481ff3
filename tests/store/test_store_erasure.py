"""Erasing a user leaves nothing of that user in the bytes of any file, and everything of everybody else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import zlib
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit.errors import ErasureIncomplete, RecordNotFound
from agentkit.messages import ToolCall, assistant, tool_result, user
from agentkit.store import migrations
from agentkit.store.call_records import NewApproval
from agentkit.store.driver import sqlite3
from agentkit.store.protocol import NewMemory, UserStore
from agentkit.store.sqlite_store import SqliteStore
from tests.store.samples import open_store, say, trace, unit

# Tables of which a user has rows; everything of them goes. A new table must be named here or below.
OF_USERS = {
    "conversations",
    "turns",
    "steps",
    "journal",
    "events",
    "memories",
    "memory_marks",
    "summaries",
    "inbox",
    "leases",
    "approvals",
    "files",
    "hand_offs",
}
OF_BOTS = {
    "documents",
    "document_tags",
    "chunks",
    "chunk_words",
    "chunk_words_config",  # this and the following: FTS5's own of `chunk_words`
    "chunk_words_data",
    "chunk_words_docsize",
    "chunk_words_idx",
    "knowledge_versions",
    "_sqlite_migrations",
    "sqlite_sequence",
}


def raw(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if not file.name.endswith("-shm"))


def whole_turn(store: UserStore, conversation: str, secret: str, filler: str) -> None:
    """A turn with a call that has an effect, a trace and two memories, all of which hold the secret."""
    turn = store.begin_turn(conversation, user(f"{secret} asked {filler}"))
    call = ToolCall(id=f"call-{secret}", name="note", arguments={"text": f"{secret} argument {filler}"})
    store.record_step(turn.id, 0, assistant(f"{secret} drafted", [call]), {"note": f"{secret} cost"})
    store.start_call(turn.id, call, effect="write", idempotent=False)
    store.finish_call(turn.id, tool_result(call, f"{secret} result {filler}", data={"said": secret}))
    vector = numpy.random.default_rng(zlib.crc32(secret.encode())).normal(size=24).astype(numpy.float32)
    reply = f"{secret} replied {filler}"
    store.commit_turn(
        turn.id,
        reply=assistant(reply),
        events=trace(turn.id, reply),
        memories=[
            NewMemory("message", f"{secret} asked {filler}", "user", 0.4, "encoder-a", vector),
            NewMemory("fact", f"{secret} is a fact", "user", 0.8, "encoder-a", vector),
        ],
        status="done",
    )


USERS = ("ada-lovelace", "ben-franklin", "cleo-patra")
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(USERS),
        st.sampled_from(
            ["turn", "new conversation", "remove a memory", "other vector", "open turn", "message waits"]
        ),
        st.text(max_size=40),
        st.integers(0, 3000),  # times that it is repeated
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(ACTIONS, st.sampled_from(USERS))
def test_nothing_of_an_erased_user_is_left_in_any_byte(
    actions: list[tuple[str, str, str, int]], erased: str
) -> None:
    with tempfile.TemporaryDirectory() as name, open_store(Path(name)) as store:
        secrets: dict[str, list[str]] = {each: [] for each in USERS}
        places: dict[str, str] = {}
        for number, (who, action, text, times) in enumerate(actions):
            mine = store.for_user("shop", who)
            filler = (text * times)[:20_000].encode(errors="replace").decode()
            if who not in places or action == "new conversation":
                secret = f"title-{number:04}-of-{who}"
                places[who] = mine.new_conversation(secret)
                secrets[who].append(secret)
            secret = f"secret-{number:04}-of-{who}"
            if action == "turn":
                whole_turn(mine, places[who], secret, filler)
                secrets[who].append(secret)
            elif action == "open turn":
                mine.begin_turn(mine.new_conversation(), user(secret + filler))
                secrets[who].append(secret)
            elif action == "message waits":
                mine.accept(
                    mine.new_conversation(), user(secret + filler), client_msg_id=f"{secret}-id", room=1000
                )
                secrets[who].append(secret)
            elif action == "remove a memory" and (memories := mine.memories()):
                mine.remove_memory(memories[number % len(memories)].id)
            elif action == "other vector" and (memories := mine.memories()):
                mine.set_memory_vectors(
                    "encoder-b", {memories[number % len(memories)].id: unit(1, number, 2)}
                )
        others = [who for who in USERS if who != erased]
        before = {who: everything(store.for_user("shop", who)) for who in others}
        receipt = store.for_user("shop", erased).erase(wait=1)
        assert receipt.remnants == ()
        content = raw(Path(name))
        assert [secret for secret in secrets[erased] if secret.encode() in content] == []
        assert erased.encode() not in content
        assert everything(store.for_user("shop", erased)) == ([], [], [])
        assert {who: everything(store.for_user("shop", who)) for who in others} == before
        assert store.problems() == []


def everything(store: UserStore) -> tuple[object, ...]:
    conversations = store.conversations()
    return (
        conversations,
        [(store.transcript(each.id), store.turns(each.id)) for each in conversations],
        store.memories(),
    )


def test_the_receipt_counts_and_holds_no_content(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada-lovelace")
        conversation = ada.new_conversation("my title")
        whole_turn(ada, conversation, "secret-of-ada", "x")
        say(ada, conversation, "hello there, my sofa is grey")
        receipt = ada.erase()
    assert receipt.erased.model_dump() == {
        "conversations": 1,
        "turns": 2,
        "steps": 3,
        "calls": 1,
        "approvals": 0,
        "hand_offs": 0,
        "events": 4,
        "waiting": 0,
        "summaries": 0,
        "messages": 2,
        "facts": 1,
        "files": 0,
    }
    assert receipt.searched == (tmp_path / "agentkit.db", tmp_path / "agentkit.db-wal")
    assert receipt.pieces > 50
    assert "secret" not in receipt.model_dump_json()
    assert "sofa" not in receipt.model_dump_json()


def test_erasing_nothing_is_harmless_and_can_be_repeated(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for _ in range(2):
            receipt = store.for_user("shop", "nobody").erase()
            assert receipt.remnants == ()
            assert not any(receipt.erased.model_dump().values())


def test_what_others_said_too_is_no_remnant(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for name in ("ada", "ben"):
            mine = store.for_user("shop", name)
            say(mine, mine.new_conversation(), "the very same words of two people in a shop")
        assert store.for_user("shop", "ada").erase().remnants == ()
        assert b"the very same words" in raw(tmp_path)


def test_copies_in_a_cache_are_found_and_copies_of_the_file_are_named(tmp_path: Path) -> None:
    folder, cache = tmp_path / "data", tmp_path / "cache"
    (cache / "deep").mkdir(parents=True)
    with open_store(folder) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "my sofa is grey and stands by the window")
        (cache / "deep" / "notes.bin").write_bytes(b"\x00" * 77 + b"my sofa is grey and stands by the window")
        (cache / "other.bin").write_bytes(b"nothing of interest in here at all")
        (folder / "agentkit.db.bak").write_bytes(b"a backup")
        receipt = ada.erase(beside=[cache])
    assert [each.path for each in receipt.remnants] == [cache / "deep" / "notes.bin"]
    assert receipt.not_reached == (folder / "agentkit.db.bak",)
    assert cache / "other.bin" in receipt.searched


def test_copies_of_a_file_are_named_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "shop [old].db.bak").write_bytes(b"a backup")
    with SqliteStore.open(tmp_path / "shop [old].db") as store:
        receipt = store.for_user("shop", "ada").erase()
    assert receipt.not_reached == (tmp_path / "shop [old].db.bak",)


def test_a_forgotten_memory_leaves_no_byte_and_what_was_said_stays(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "the conversation stays")
        secret = ada.add_memory(NewMemory("fact", "her secret is plum jam", "user", 0.5, "", None))
        receipt = ada.remove_memory(secret)
        assert (receipt.erased.facts, receipt.remnants) == (1, ())
        assert b"plum jam" not in raw(tmp_path)
        assert [each.text for each in ada.memories()] == ["the conversation stays"]


def test_what_is_stored_after_an_erasure_is_not_lost_when_another_program_closes_the_file(
    tmp_path: Path,
) -> None:
    look = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM turns'); c.close()"
    )
    with open_store(tmp_path) as store:
        ada, ben = store.for_user("shop", "ada"), store.for_user("shop", "ben")
        say(ben, ben.new_conversation(), "gone")
        ben.erase(beside=[tmp_path])
        subprocess.run([sys.executable, "-c", look, str(tmp_path / "agentkit.db")], check=True)
        say(ada, ada.new_conversation(), "kept")
        with open_store(tmp_path) as other:
            assert len(other.for_user("shop", "ada").conversations()) == 1


def test_an_erasure_waits_for_a_reader_who_leaves(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "my sofa is grey and stands by the window")
        reader = sqlite3.connect(tmp_path / "agentkit.db", isolation_level=None, check_same_thread=False)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turns").fetchone()
        leaves = threading.Timer(0.4, reader.execute, ["COMMIT"])
        leaves.start()
        receipt = ada.erase(wait=30)
        leaves.join()
        assert receipt.seconds >= 0.3
        assert receipt.remnants == ()
        assert b"my sofa" not in raw(tmp_path)
        reader.close()


def test_an_erasure_says_that_a_reader_keeps_old_pages_and_can_be_finished_later(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "my sofa is grey and stands by the window")
        reader = sqlite3.connect(tmp_path / "agentkit.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turns").fetchone()
        with pytest.raises(ErasureIncomplete, match="keeps the old pages alive"):
            ada.erase(wait=0.1)
        assert ada.conversations() == []
        reader.close()
        assert ada.erase().remnants == ()
        assert b"my sofa" not in raw(tmp_path)


def test_leftovers_of_a_store_that_did_not_overwrite_are_removed(tmp_path: Path) -> None:
    """Rows that moved, or were deleted, before `secure_delete` was on lie in free places of the file."""
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "my sofa is grey and stands by the window")
        text = "my sofa is grey and stands by the window"
    file = tmp_path / "agentkit.db"
    with sqlite3.connect(file, isolation_level=None) as careless:
        careless.execute("PRAGMA secure_delete = OFF")
        careless.execute("INSERT INTO knowledge_versions VALUES (?, 'x', 1)", (text * 200,))
        careless.execute("DELETE FROM knowledge_versions")
    careless.close()
    assert text.encode() in file.read_bytes()
    with open_store(tmp_path) as store:
        receipt = store.for_user("shop", "ada").erase()
        assert receipt.rewritten
        assert receipt.remnants == ()
        assert text.encode() not in raw(tmp_path)


def test_a_reader_of_memories_notices_an_erasure(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        ada.add_memory(NewMemory("fact", "one", "user", 0.5, "encoder-a", unit(1, 0, 0)))
        mark = ada.memory_changes("encoder-a").mark
        ada.erase()
        ada.add_memory(NewMemory("fact", "two", "user", 0.5, "encoder-a", unit(1, 0, 0)))
        changes = ada.memory_changes("encoder-a", mark)
        assert changes.complete
        assert [head.text for head in changes.heads] == ["two"]


def test_a_turn_that_was_being_answered_is_gone(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        turn = ada.begin_turn(ada.new_conversation(), user("hello"))
        ada.erase()
        with pytest.raises(RecordNotFound):
            ada.record_step(turn.id, 0, assistant("hi"))


def test_what_a_person_was_asked_and_what_tools_made_is_gone_from_the_bytes(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada, ben = (store.for_user("shop", name) for name in ("ada-lovelace", "ben-franklin"))
        for whose, secret in ((ada, "secret-of-ada"), (ben, "secret-of-ben")):
            turn = whose.begin_turn(whose.new_conversation(), user("please note it"))
            call = ToolCall(id=f"call-{secret}", name="note", arguments={"text": f"{secret} argument"})
            whose.record_step(turn.id, 0, assistant("", [call]))
            shown = whose.request_approval(
                NewApproval(turn_id=turn.id, call=call, effect="write", reasons=(), profile={"name": secret})
            )
            whose.answer_approval(
                shown.id, shown=shown.hash, settled={"text": f"{secret} changed"}, by=secret, answer=secret
            )
            whose.save_file(
                f"{secret} wrote it ".encode() * 500, name=f"{secret}.txt", media_type="text/plain"
            )
        receipt = ada.erase()
        assert (receipt.remnants, receipt.erased.approvals, receipt.erased.files) == ((), 1, 1)
        assert b"secret-of-ada" not in raw(tmp_path)
        assert b"secret-of-ben" in raw(tmp_path)
        assert [each.user for each in store.open_turns()] == ["ben-franklin"]


def test_every_table_is_known_to_belong_to_users_or_to_bots(tmp_path: Path) -> None:
    with open_store(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "agentkit.db") as raw_connection:
        rows = raw_connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    raw_connection.close()
    assert {row[0] for row in rows} == OF_USERS | OF_BOTS
    assert migrations.NEWEST_VERSION == 7  # who adds tables or columns looks at `erasure`, too


def test_an_erasure_that_is_killed_is_done_or_not_begun(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "my sofa is grey and stands by the window")
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from agentkit.store.sqlite_store import SqliteStore\n"
        "def kill(point):\n"
        "    if point == sys.argv[2]:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "SqliteStore.open(Path(sys.argv[1]), on_write=kill).for_user('shop', 'ada').erase()\n"
    )
    for point, left in (("before:erase", 1), ("inside:erase", 1), ("after:erase", 0)):
        file = str(tmp_path / "agentkit.db")
        subprocess.run([sys.executable, "-c", program, file, point], check=False, timeout=60)
        with open_store(tmp_path) as store:
            assert len(store.for_user("shop", "ada").conversations()) == left
    with open_store(tmp_path) as store:
        assert store.for_user("shop", "ada").erase().remnants == ()
        assert b"my sofa" not in raw(tmp_path)
