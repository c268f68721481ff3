"""One file, several threads and processes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from agentkit.errors import Busy, StoreError, TurnConflict
from agentkit.messages import assistant, user
from tests.architecture.source_tree import ROOT
from tests.store.process import run
from tests.store.samples import CALL, DONE, open_store, say, turn_with_written_call

SAY_MUCH: Final = """
import sys
from pathlib import Path
from agentkit.store.sqlite_store import SqliteStore
from tests.store.samples import say
with SqliteStore.open(Path(sys.argv[1]) / "agentkit.db", busy_timeout=60) as store:
    me = store.for_user("shop", sys.argv[2])
    conversation = me.new_conversation()
    for number in range(int(sys.argv[3])):
        say(me, conversation, f"{sys.argv[2]} says {number}")
"""


def processes(folder: Path, code: str, names: list[str], *arguments: object) -> None:
    """Run `code` in one process for each name, all at once."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder), name, *(str(argument) for argument in arguments)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for process in started:
        _, problem = process.communicate(timeout=120)
        assert process.returncode == 0, problem


def test_several_processes_create_and_fill_one_file(tmp_path: Path) -> None:
    names = ["ada", "ben", "cem", "dee"]
    processes(tmp_path, SAY_MUCH, names, 10)
    with open_store(tmp_path) as store:
        assert store.problems() == []
        for name in names:
            user_store = store.for_user("shop", name)
            [conversation] = user_store.conversations()
            said = [message.parts[0].text for message in user_store.transcript(conversation.id)][::2]
            assert said == [f"{name} says {number}" for number in range(10)]
            assert [memory.seq for memory in user_store.memories()] == list(range(10))


@pytest.fixture
def busy_writers(tmp_path: Path) -> Iterator[None]:
    """Two processes that write to the file without a pause."""
    code = SAY_MUCH.replace("range(int(sys.argv[3]))", "itertools.count()").replace(
        "sys\n", "itertools, sys\n", 1
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        for name in ("ben", "cem"):
            writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], env=environment)
            stack.callback(writer.wait)
            stack.callback(writer.kill)
        with open_store(tmp_path) as store:
            while not all(store.for_user("shop", name).memories() for name in ("ben", "cem")):
                time.sleep(0.05)
        yield


@pytest.mark.usefixtures("busy_writers")
def test_who_waits_is_next_after_a_busy_writer(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:  # waits .2 s at most
        ada = store.for_user("shop", "ada")
        conversation = ada.new_conversation()
        for number in range(50):
            say(ada, conversation, f"ada says {number}")
        assert len(ada.transcript(conversation)) == 100


@pytest.mark.usefixtures("busy_writers")
def test_a_user_is_erased_while_others_write(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        say(ada, ada.new_conversation(), "my secret is plum jam")
        receipt = ada.erase(wait=10)
        assert receipt.remnants == ()
        assert ada.conversations() == []


def test_a_lock_that_another_program_has_on_the_folder_stops_nobody(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        other = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(other, fcntl.LOCK_EX)
        try:
            assert store.for_user("shop", "ada").new_conversation()
        finally:
            os.close(other)


def test_a_process_that_may_open_no_more_files_writes_on(tmp_path: Path) -> None:
    said = run(
        """
import resource, sys
from pathlib import Path
from tests.store.samples import open_store
with open_store(Path(sys.argv[1])) as store:
    ada = store.for_user("shop", "ada")
    ada.new_conversation()
    ada.conversations()  # both connections have their files open now
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    ada.new_conversation()
    print(len(ada.conversations()))
""",
        tmp_path,
    )
    assert said == "2"


def test_a_process_that_was_forked_from_one_that_waits_keeps_nobody_waiting(tmp_path: Path) -> None:
    said = run(
        """
import fcntl, os, sys
from pathlib import Path
from agentkit.store.patience import in_front
folder = Path(sys.argv[1])
asked, told = os.pipe()
with in_front(folder / "agentkit.db"):
    if os.fork() == 0:
        os.close(told)
        os.read(asked, 1)  # until the parent has closed its end
        os._exit(0)
fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
print("free")
os.close(told)
os.wait()
""",
        tmp_path,
    )
    assert said == "free"


def test_several_threads_share_a_store(tmp_path: Path) -> None:
    problems: list[BaseException] = []
    with open_store(tmp_path) as store:

        def converse(name: str) -> None:
            try:
                me = store.for_user("shop", name)
                conversation = me.new_conversation()
                for number in range(5):
                    say(me, conversation, f"{name} says {number}")
                    assert len(me.transcript(conversation)) == 2 * (number + 1)
            except (StoreError, AssertionError) as problem:
                problems.append(problem)

        threads = [threading.Thread(target=converse, args=(f"user {number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert store.problems() == []


def test_of_many_messages_at_once_one_is_accepted(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        conversation = ada.new_conversation()
        accepted: list[str] = []
        refused: list[str] = []

        def send(text: str) -> None:
            try:
                accepted.append(ada.begin_turn(conversation, user(text)).id)
            except Busy:
                refused.append(text)

        threads = [threading.Thread(target=send, args=(f"message {number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(accepted), len(refused)) == (1, 7)
        assert [turn.id for turn in ada.turns(conversation)] == accepted


def test_of_two_stores_that_resume_a_turn_one_runs_the_call(tmp_path: Path) -> None:
    with open_store(tmp_path) as first, open_store(tmp_path) as second:
        turn_id = turn_with_written_call(first.for_user("shop", "ada"))
        first.for_user("shop", "ada").start_call(turn_id, CALL, effect="write", idempotent=False)
        other = second.for_user("shop", "ada")
        with pytest.raises(TurnConflict):
            other.start_call(turn_id, CALL, effect="write", idempotent=False)
        first.for_user("shop", "ada").finish_call(turn_id, DONE)
        with pytest.raises(TurnConflict):
            other.finish_call(turn_id, DONE)
        other.commit_turn(turn_id, reply=assistant("done"), events=(), memories=(), status="done")
        with pytest.raises(TurnConflict):
            first.for_user("shop", "ada").record_step(turn_id, 2, assistant("late"))


def test_a_reader_sees_what_another_process_committed(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        before = ada.memory_changes("encoder-a").mark
        processes(tmp_path, SAY_MUCH, ["ada"], 2)
        [conversation] = ada.conversations()
        assert len(ada.transcript(conversation.id)) == 4
        changes = ada.memory_changes("encoder-a", before)
        assert (len(changes.ids), changes.complete) == (2, False)


def test_a_store_is_not_carried_over_a_fork(tmp_path: Path) -> None:
    said = run(
        """
import os, sys
from pathlib import Path
from agentkit.errors import StoreError
from tests.store.samples import open_store
with open_store(Path(sys.argv[1])) as store:
    ada = store.for_user("shop", "ada")
    ada.new_conversation()
    if os.fork() == 0:
        try:
            ada.conversations()
        except StoreError as problem:
            print(problem, flush=True)
        store.close()
        os._exit(0)
    os.wait()
    print(len(ada.conversations()))
""",
        tmp_path,
    )
    assert "was opened by process" in said
    assert "after forking" in said
    assert said.endswith("\n1")
