"""The commands, run as a user runs them: a process of its own, its output and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT


def run(*arguments: object, folder: Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agentkit", *(str(each) for each in arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        input=typed,
        env=os.environ | {"AGENTKIT_DATA": str(folder / "data"), "COLUMNS": "200", "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    done = run("--help", folder=tmp_path)
    assert done.returncode == 0
    for command in ("chat", "demo", "doctor", "new", "tools", "models", "memory", "eval"):
        assert f"\n  {command} " in done.stdout


def test_the_tools_of_the_plugins_are_listed_shown_and_called(tmp_path: Path) -> None:
    assert "calculate" in run("tools", "list", folder=tmp_path).stdout
    assert json.loads(run("tools", "list", "--json", folder=tmp_path).stdout)[0]["name"] == "current_time"
    assert '"expression"' in run("tools", "show", "calculate", folder=tmp_path).stdout
    called = run("tools", "call", "calculate", "expression=17 * 23", folder=tmp_path)
    assert (called.returncode, "391" in called.stdout) == (0, True)


def test_a_tool_that_fails_ends_with_status_one(tmp_path: Path) -> None:
    done = run("tools", "call", "calculate", "expression=1/0", folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tools", "show", "calculte"], "calculate"),
        (["tools", "call", "calculate"], "expression"),
        (["tools", "call", "calculate", "17"], "name=value"),
        (["chat", "nowhere"], "agent.yaml"),
        (["demo", "nowhere", "x"], "agent.yaml"),
        (["memory", "show", "nowhere"], "agent.yaml"),
        (["models", "show", "gpt-9"], "catalogue"),
        (["models", "pull", "qwen2.5-coder-0.6b"], "qwen2.5-coder-0.5b"),
        (["eval", "calls", "nothing.jsonl"], "nothing.jsonl"),
        (["eval", "grounding", "nothing.jsonl"], "nothing.jsonl"),
        (["eval", "schemas", "nothing.jsonl"], "nothing.jsonl"),
    ],
)
def test_a_mistake_ends_with_a_message_that_helps_and_status_two(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_or_option_says_how_to_get_help(tmp_path: Path) -> None:
    for arguments in (["chatt", "bot"], ["doctor", "--depe"]):
        done = run(*arguments, folder=tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "--help" in done.stderr


def test_a_new_bot_is_written_once(tmp_path: Path) -> None:
    assert "agentkit chat my_bot" in run("new", "bot", "my_bot", folder=tmp_path).stdout
    again = run("new", "bot", "my_bot", folder=tmp_path)
    assert again.returncode == 2
    assert "nothing was written" in again.stderr


def test_nothing_is_remembered_before_the_first_conversation(tmp_path: Path) -> None:
    run("new", "bot", "my_bot", folder=tmp_path)
    done = run("memory", "show", "my_bot", folder=tmp_path)
    assert done.returncode == 2
    assert "no database yet" in done.stderr


def test_the_models_of_the_catalogue_are_listed_and_shown(tmp_path: Path) -> None:
    listed = json.loads(run("models", "list", "--json", folder=tmp_path).stdout)
    assert {"smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "minilm-l6"} <= {
        m["name"] for m in listed
    }
    assert "Apache-2.0" in run("models", "show", "minilm-l6", folder=tmp_path).stdout


def test_the_doctor_looks_at_the_machine_and_at_a_bot(tmp_path: Path) -> None:
    run("new", "bot", "my_bot", folder=tmp_path)
    done = run("doctor", "my_bot", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("Python", "torch", "SQLite", "tools from plugins", "agent.yaml is sound"):
        assert word in done.stdout


@pytest.mark.weights
@pytest.mark.timeout(900)
def test_a_new_bot_plays_its_demo_and_remembers_a_chat(tmp_path: Path) -> None:
    run("new", "bot", "my_bot", folder=tmp_path)
    played = run("demo", "my_bot", folder=tmp_path)
    assert played.returncode == 0, played.stdout + played.stderr
    talked = run(
        "chat", "my_bot", "--user", "ada", folder=tmp_path, typed="My bike is a green Peugeot.\n/quit\n"
    )
    assert talked.returncode == 0, talked.stdout + talked.stderr
    assert (
        "green Peugeot" in run("memory", "show", "my_bot", "--user", "ada", "--all", folder=tmp_path).stdout
    )
    assert (
        "green Peugeot"
        in run("memory", "search", "my_bot", "which bicycle", "-u", "ada", folder=tmp_path).stdout
    )
