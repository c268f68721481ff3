"""A short soak keeps every promise, and a soak that breaks one says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentkit.cli.main import app
from agentkit.errors import ConfigurationError
from agentkit.messages import assistant, user
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing.crash_ledger import Ledger, broken_promises
from agentkit.testing.soak import SoakPlan, run_soak
from agentkit.testing.soak.run import _out_of_order
from tests.store.samples import open_store


@pytest.mark.kill
@pytest.mark.slow
def test_a_soak_with_kills_keeps_every_promise(tmp_path: Path) -> None:
    report = run_soak(tmp_path, SoakPlan(minutes=0.15, kill_every=0.5, seed=1))
    assert report.broken == ()
    assert report.kills >= 3
    assert report.turns >= 10
    assert report.largest_log < 64


@pytest.mark.kill
@pytest.mark.slow
def test_the_command_prints_what_it_found(tmp_path: Path) -> None:
    command = ["soak", "--minutes", "0.05", "--seed", "2", "--json", "--folder", str(tmp_path / "soak")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["broken"] == []


def test_a_soak_needs_two_workers(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="two workers"):
        run_soak(tmp_path, SoakPlan(workers=1))


def test_a_lost_message_a_torn_turn_and_a_doubled_effect_are_found(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        ada.accept(ada.new_conversation(), user("there"), claim_seconds=1)
        for kind, text in (("accepted", "there"), ("accepted", "lost"), ("committed", "there")):
            ledger.write(kind, text)  # type: ignore[arg-type]
        found = broken_promises(store, [("shop", "ada")], ledger)
    assert sorted(found) == [
        "1 accepted = stored: 'lost' is lost",
        "2 all or nothing: 'there' is lost",
    ]


def test_messages_out_of_order_are_found() -> None:
    texts = [
        "w1.0 1 please look it",
        "w1.0 3 please look it",
        "w2.0 1 please look it",
        "w1.0 2 please look it",
    ]
    assert list(_out_of_order("c", texts)) == ["5 one order: w1.0 in c is answered as [1, 3, 2]"]


def test_a_turn_that_is_left_open_counts_as_accepted(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "a.db") as store:
        ada = store.for_user("shop", "ada")
        turn = ada.begin_turn(ada.new_conversation(), user("there"))
        ada.record_step(turn.id, 0, assistant("draft"))
        ledger = Ledger(tmp_path)
        ledger.write("accepted", "there")
        assert broken_promises(store, [("shop", "ada")], ledger) == []
