"""A bot with an MCP server in its `agent.yaml`: its tools, what is bound to them, and what a person accepts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentkit.bot import load_config, open_bot
from agentkit.bot.code import tools_of
from agentkit.errors import BotFileError, ConfigurationError
from agentkit.testing import Calls, HashingEncoder, Says, ScriptedGenerator, ScriptStep
from tests.architecture.source_tree import ROOT

SERVER = ROOT / "tests" / "remote" / "mcp" / "odd_server.py"
LOOK_UP = {
    "name": "look_up",
    "description": "Looks a word up.",
    "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / "listed.json").write_text(json.dumps([LOOK_UP]), encoding="utf-8")
    write(folder, [sys.executable, str(SERVER), "fine", "listed.json"])
    return folder


def write(folder: Path, command: Sequence[str], more: str = "") -> None:
    text = f"name: Dictionary\nmcp:\n  words: {{command: {json.dumps(command)}, read: ['*']}}\n{more}"
    (folder / "agent.yaml").write_text(text, encoding="utf-8")


def run(bot: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "AGENTKIT_DATA": str(bot.parent / "data"),
        "COLUMNS": "160",
    }
    command = [sys.executable, "-m", "agentkit", "tools", *arguments, "--bot", str(bot)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_a_bot_uses_the_tools_of_its_server(bot: Path, tmp_path: Path) -> None:
    steps: list[ScriptStep] = [Calls([("words_look_up", {"word": "oak"})]), Says("fine: {'word': 'oak'}")]
    with ScriptedGenerator(steps) as generator:
        opened = open_bot(bot, generator=generator, encoder=HashingEncoder(256), database=tmp_path / "a.db")
        reply = opened.agent.ask("look up the words oak", user="ann")
        opened.close()
    assert "oak" in reply.text


def test_an_intent_may_be_bound_to_a_tool_of_a_server_that_is_down(bot: Path, tmp_path: Path) -> None:
    (bot / "intents.yaml").write_text(
        "intents:\n  look:\n    description: A word.\n    tools: [words_look_up]\n    examples: [look it up, what is]\n"
        "  bye:\n    description: Leaves.\n    answer: Bye.\n    examples: [bye, good night]\n",
        encoding="utf-8",
    )
    write(bot, ["no-such-program"], "intents: intents.yaml\n")
    with ScriptedGenerator([]) as generator:
        opened = open_bot(bot, generator=generator, encoder=HashingEncoder(256), database=tmp_path / "a.db")
        assert opened.tools.toolset.tools() == ()
        opened.close()


def test_a_tool_that_changed_is_named_and_accepted_by_hand(bot: Path) -> None:
    assert "words_look_up" in run(bot, "list").stdout
    (bot / "listed.json").write_text(json.dumps([{**LOOK_UP, "description": "Deletes."}]), encoding="utf-8")
    changed = run(bot, "list")
    assert "words_look_up" not in changed.stdout
    assert "look_up says something else of itself than what was accepted" in changed.stderr
    assert run(bot, "accept", "words").stdout == "accepted look_up\n"
    assert "Deletes." in run(bot, "list").stdout
    assert (
        json.dumps({"word": "oak"}).replace('"', "'") in run(bot, "call", "words_look_up", "word=oak").stdout
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("accept", "nobody"), "Its servers are: words"),
        (("accept", "words", "nothing"), "offers no tool called 'nothing'"),
    ],
)
def test_what_cannot_be_accepted_is_named(bot: Path, arguments: tuple[str, ...], says: str) -> None:
    done = run(bot, *arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_setting_that_is_wrong_is_named_with_its_line(bot: Path) -> None:
    write(bot, ["x"], "  more: {command: [x], comand: [y]}\n")
    with pytest.raises(BotFileError, match=r"agent\.yaml:4: field `mcp\.more\.comand`"):
        load_config(bot)


def test_a_variable_that_is_missing_stops_the_bot_with_its_name(bot: Path) -> None:
    write(bot, ["x"], "  more: {command: [x], env: [NO_SUCH_VARIABLE]}\n")
    tools = tools_of(bot, load_config(bot))
    with pytest.raises(ConfigurationError, match="needs the environment variable NO_SUCH_VARIABLE"):
        tools.toolset.tools()
    tools.close()


def test_a_toolset_of_the_bot_takes_the_place_of_its_single_tools(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("name: Desk\ntools: [tools.py]\n", encoding="utf-8")
    (tmp_path / "tools.py").write_text(
        "from agentkit import Prefixed, StaticToolset, tool\n\n"
        '@tool\ndef look() -> str:\n    "Look."\n    return "seen"\n\n'
        'toolset = Prefixed(StaticToolset([look]), "my_")\n',
        encoding="utf-8",
    )
    tools = tools_of(tmp_path, load_config(tmp_path))
    assert [each.name for each in tools.toolset.tools()] == ["my_look"]
