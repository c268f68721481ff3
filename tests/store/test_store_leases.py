"""A lease ends with its process, whatever clocks say; what a stranger writes about itself decides nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from agentkit.errors import Busy, LeaseLost
from agentkit.messages import assistant, user
from agentkit.store.protocol import Claim
from agentkit.store.sqlite_store import SqliteStore
from agentkit.store.workers import is_gone, this_worker
from agentkit.testing import FixedClock
from tests.architecture.source_tree import ROOT
from tests.store.samples import open_store

CLAIM_AND_WAIT: Final = """
import sys
from pathlib import Path
from agentkit.messages import user
from tests.store.samples import open_store
store = open_store(Path(sys.argv[1]))
ada = store.for_user("shop", "ada")
ada.accept(ada.new_conversation(), user("hello there"), claim_seconds=1000)
print("claimed", flush=True)
sys.stdin.read()
"""


def claimed(store: SqliteStore, seconds: float = 100) -> Claim:
    ada = store.for_user("shop", "ada")
    claim = ada.accept(ada.new_conversation(), user("hello there"), claim_seconds=seconds).claim
    assert claim is not None
    return claim


def test_the_lease_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIM_AND_WAIT, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        with open_store(tmp_path) as store:
            ada = store.for_user("shop", "ada")
            conversation = ada.latest_conversation()
            assert conversation is not None
            assert store.unattended() == []
            with pytest.raises(Busy):
                ada.claim(conversation, 100)
            process.kill()  # and nobody has waited for it yet: it is a zombie
            while not (left := store.unattended()):
                pass
            assert [key.conversation_id for key in left] == [conversation]
            claim = ada.claim(conversation, 100)
            assert claim is not None
            assert claim.lease.fence == 2


@pytest.mark.parametrize(("jump", "taken"), [(50.0, False), (101.0, True), (-5_000_000.0, True)])
def test_a_clock_that_jumps_frees_a_lease_or_leaves_it_and_tears_nothing(
    jump: float, taken: bool, tmp_path: Path
) -> None:
    now = [6_000_000.0]
    with SqliteStore.open(tmp_path / "agentkit.db", ticks=lambda: now[0]) as store:
        claim = claimed(store)
        ada, conversation = store.for_user("shop", "ada"), claim.lease.conversation_id
        mine, turn_id = ada.under(claim.lease), claim.turn.turn.id
        mine.record_step(turn_id, 0, assistant("first"))
        now[0] += jump
        if not taken:
            with pytest.raises(Busy):
                ada.claim(conversation, 100)
            mine.record_step(turn_id, 1, assistant("second"))
            return
        other = ada.claim(conversation, 100)
        assert other is not None
        assert [step.message for step in other.turn.steps] == [assistant("first")]
        with pytest.raises(LeaseLost, match="another worker"):
            mine.record_step(turn_id, 1, assistant("second"))
        ada.under(other.lease).record_step(turn_id, 1, assistant("its own second"))


def test_times_of_day_that_jump_change_no_order_and_no_lease(tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC), tick=timedelta(days=-1))
    with SqliteStore.open(tmp_path / "agentkit.db", clock=clock) as store:
        claim = claimed(store)
        ada, conversation = store.for_user("shop", "ada"), claim.lease.conversation_id
        for number in range(3):
            ada.accept(conversation, user(str(number)))
        clock.advance(timedelta(days=10_000))
        assert [each.seq for each in ada.waiting(conversation)] == [1, 2, 3]
        with pytest.raises(Busy):
            ada.claim(conversation, 100)


def test_this_process_is_not_gone_and_others_are_where_that_is_known() -> None:
    me = this_worker()
    boot, namespace, pid, started = me.split("/")
    assert not is_gone(me)
    assert not is_gone("/".join(("-", namespace, pid, "1")))
    assert not is_gone("/".join((boot, "pid:[1]", "999999", "1")))  # another container of this machine
    known = boot != "-"  # Linux tells
    assert is_gone("/".join((boot, namespace, pid, str(int(started) + 1)))) is known if known else True
    assert is_gone("/".join((boot, namespace, "4194304", "1"))) is known
    assert is_gone("/".join(("another-boot", namespace, pid, started))) is known
