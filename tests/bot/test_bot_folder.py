"""Bot folders that are wrong: every error names the file, the line and the field, and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.bot import load_config, new_bot, open_bot
from agentkit.bot.code import tools_of
from agentkit.bot.data import database_of
from agentkit.errors import AgentKitError, BotFileError, ConfigurationError
from agentkit.testing import HashingEncoder, ScriptedGenerator

TOOL = '''
from agentkit import tool

@tool(effect="read")
def look() -> str:
    """Look at something."""
    return "seen"
'''
INTENTS = """
intents:
  greet: {answer: "Hello!", examples: [hello, hi there, good morning, hello you]}
  ask: {tools: [look], examples: [look at it, please look, have a look, look there]}
out_of_scope: [the weather, a poem, tell a joke]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "agent.yaml").write_text("name: Test\ntools: [tools.py]\nintents: intents.yaml\n")
    (tmp_path / "tools.py").write_text(TOOL)
    (tmp_path / "intents.yaml").write_text(INTENTS)
    return tmp_path


def opened(folder: Path) -> AgentKitError:
    with pytest.raises(AgentKitError) as caught:
        open_bot(
            folder, generator=ScriptedGenerator([]), encoder=HashingEncoder(), database=folder / "bot.db"
        )
    return caught.value


@pytest.mark.parametrize(
    ("config", "place", "says"),
    [
        ("name: A\nlimts: {steps: 3}\n", "agent.yaml:2: field `limts`", "limits"),
        ("name: A\nlimits: {steps: many}\n", "agent.yaml:2: field `limits.steps`", "whole number"),
        (
            "name: A\nlimits:\n  steps: 0\n",
            "agent.yaml:3: field `limits.steps`",
            "greater than or equal to 1",
        ),
        ("description: x\n", "field `name`", "required"),
        ("name: [1, 2\n", "agent.yaml:", ""),
        ("", "agent.yaml", "empty"),
        ("name: A\ntools: [tools.py, clokc]\n", "agent.yaml:2: field `tools", "current_time"),
        ("name: A\ntools: [missing.py]\n", "agent.yaml:2: field `tools", "no file 'missing.py'"),
        ("name: A\ntools: [../tools.py]\n", "agent.yaml:2: field `tools", "outside"),
        ("name: A\nknowledge: [nothing]\n", "agent.yaml:2: field `knowledge", "no 'nothing'"),
        ("name: A\nreplies: nothing\n", "agent.yaml:2: field `replies`", "no folder 'nothing'"),
    ],
)
def test_a_broken_agent_yaml_names_file_line_and_field(
    config: str, place: str, says: str, folder: Path
) -> None:
    (folder / "agent.yaml").write_text(config)
    error = opened(folder)
    assert isinstance(error, BotFileError)
    assert place in error.message
    assert says.casefold() in str(error).casefold()
    assert error.hint or "should be" in error.message


def test_a_folder_without_agent_yaml_is_no_bot(tmp_path: Path) -> None:
    error = opened(tmp_path)
    assert "agent.yaml" in error.message
    assert error.hint


def test_an_intent_that_is_bound_to_a_tool_that_is_not_there_names_its_line(folder: Path) -> None:
    (folder / "intents.yaml").write_text(INTENTS.replace("[look]", "[lok]"))
    assert "intents.yaml:4: field `intents.ask.tools`" in opened(folder).message


@pytest.mark.parametrize(
    ("code", "line", "says"),
    [
        ("import nothing_of_this_name\n", 1, "ModuleNotFoundError"),
        ("x = 1\n1 / 0\n", 2, "ZeroDivisionError"),
        ("import sys\nsys.exit(1)\n", 2, "SystemExit"),
        ("def f(:\n", None, "SyntaxError"),
        ("from agentkit import tool\n@tool\ndef f(x): 'Do it.'\n", 2, "ToolDefinitionError"),
    ],
)
def test_a_tools_file_that_cannot_be_run_is_named_with_its_line(
    code: str, line: int | None, says: str, folder: Path
) -> None:
    (folder / "tools.py").write_text(code)
    with pytest.raises(BotFileError) as caught:
        tools_of(folder, load_config(folder))
    assert caught.value.line == line
    assert says in caught.value.message


def test_a_bot_on_doubles_answers_and_keeps_to_its_database(folder: Path) -> None:
    bot = open_bot(
        folder, generator=ScriptedGenerator([]), encoder=HashingEncoder(), database=folder / "bot.db"
    )
    assert bot.agent.ask("hello", user="ada").text == "Hello!"
    bot.close()
    assert (folder / "bot.db").is_file()


def test_a_new_bot_goes_only_into_an_empty_folder(tmp_path: Path) -> None:
    files = new_bot(tmp_path / "mine")
    assert Path("agent.yaml") in files
    with pytest.raises(ConfigurationError, match="exists and is not empty; nothing was written"):
        new_bot(tmp_path / "mine")


def test_every_bot_folder_has_a_database_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a" / "bot").mkdir(parents=True)
    (tmp_path / "b" / "bot").mkdir(parents=True)
    assert database_of(tmp_path / "a" / "bot") != database_of(tmp_path / "b" / "bot")
    assert database_of(tmp_path / "a" / "bot") == database_of(tmp_path / "a" / "." / "bot")
