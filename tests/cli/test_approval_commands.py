"""`agentkit approvals` and `agentkit trust`, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.testing import Calls, Says
from tests.agent.desk import desk
from tests.cli.test_commands import run

CANCEL = Calls([("cancel_order", {"order_id": "1042", "reason": "changed_mind"})])


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A bot folder, and a database in which two calls wait."""
    run("new", "bot", "shop", folder=tmp_path)
    with desk(tmp_path, [CANCEL, CANCEL], bound=False, approve=("cancel_order",)) as agent:
        agent.ask("cancel the order 1042, I changed my mind", user="ada")
        agent.ask("cancel the order 1042, I changed my mind", user="ben")
    return tmp_path


def test_what_waits_is_listed_with_its_exact_arguments_and_why(shop: Path) -> None:
    done = run("approvals", "list", "shop", "--database", "agent.db", folder=shop)
    assert done.returncode == 0, done.stderr
    for text in ("ada", "ben", "cancel_order", 'order_id = "1042"', "settings ask for every cancel_order"):
        assert text in done.stdout
    listed = run("approvals", "list", "shop", "--database", "agent.db", "--json", folder=shop)
    assert [each["user"] for each in json.loads(listed.stdout)] == ["ada", "ben"]


def test_a_turn_that_waits_is_explained(shop: Path) -> None:
    done = run("trust", "explain", "shop", "last", "--user", "ada", "--database", "agent.db", folder=shop)
    assert done.returncode == 0, done.stderr
    assert "waits for a person" in done.stdout


def test_a_finished_turn_is_explained_with_the_source_of_every_argument(tmp_path: Path) -> None:
    run("new", "bot", "shop", folder=tmp_path)
    with desk(tmp_path, [CANCEL, Says("It is cancelled.")], bound=False) as agent:
        turn = agent.ask("cancel the order 1042, I changed my mind", user="ada").turn_id
    done = run("trust", "explain", "shop", turn, "--user", "ada", "--database", "agent.db", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "order_id from user" in lines
    assert "reason from choice" in lines
    assert "allowed" in lines


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["approvals", "reject", "shop", "nothing", "--database", "agent.db"], "no request begins like this"),
        (["approvals", "approve", "shop", "0", "--database", "agent.db"], "more than one request"),
        (["approvals", "list", "shop"], "no database yet"),
        (["trust", "explain", "shop", "last", "--user", "eve", "--database", "agent.db"], "no turn yet"),
        (["trust", "explain", "shop", "made-up", "--user", "ada", "--database", "agent.db"], "no turn"),
    ],
)
def test_a_mistake_is_explained(shop: Path, arguments: list[str], says: str) -> None:
    done = run(*arguments, folder=shop)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.weights
@pytest.mark.timeout(900)
def test_a_call_waits_across_processes_until_an_operator_agrees(tmp_path: Path) -> None:
    run("new", "bot", "shop", folder=tmp_path)
    config = tmp_path / "shop" / "agent.yaml"
    config.write_text(config.read_text(encoding="utf-8") + "\napprove: [write]\n", encoding="utf-8")
    said = "Please call me back at +49 30 1234567 about my repair.\nyes\n/quit\n"
    talked = run("chat", "shop", "--user", "ada", folder=tmp_path, typed=said)
    assert "Waits for a person" in talked.stdout, talked.stdout + talked.stderr
    (waiting,) = json.loads(run("approvals", "list", "shop", "--json", folder=tmp_path).stdout)
    assert waiting["call"]["arguments"]["phone"] == "+49 30 1234567"
    callbacks = tmp_path / "shop" / "callbacks.jsonl"
    assert not callbacks.exists()
    agreed = run("approvals", "approve", "shop", waiting["id"], "--by", "eve", folder=tmp_path)
    assert agreed.returncode == 0, agreed.stdout + agreed.stderr
    assert "+49 30 1234567" in callbacks.read_text(encoding="utf-8")
    again = run("approvals", "reject", "shop", waiting["id"], folder=tmp_path)
    assert again.returncode == 2
