"""The bot that `agentkit new bot` copies: its tools, and that its files agree with each other."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from agentkit.intents.examples import load_examples
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.prompts import PromptLibrary
from agentkit.tools import ToolContext, run_call
from tests.examples.shop_under_test import load, tools_of


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A copy of the template, as `agentkit new bot` makes it."""
    folder = tmp_path / tmp_path.name  # a name of its own, so that its tools are loaded from here
    with as_file(files("agentkit") / "bot" / "template") as template:
        shutil.copytree(template, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def call(bot: Path, name: str, call_id: str = "call-1", **arguments: str) -> ToolResult:
    """Call a tool of the bot as the loop does."""
    tool = tools_of(load("tools.py", bot))[name]
    context = ToolContext(user_id="sam", call_id=call_id)
    return run_call(tool, ToolCall(id=call_id, name=name, arguments=dict(arguments)), context)


def test_a_repair_is_looked_up_and_spoken_of(bot: Path) -> None:
    for ticket, words in (("B104", "is ready"), ("B107", "is in work"), ("B112", "is waiting for parts")):
        result = call(bot, "repair_status", ticket=ticket)
        assert result.status == "ok"
        text = PromptLibrary().render_file(
            bot / "replies" / "repair_status.jinja", result=result.data, arguments={}, today="", contact=""
        )
        assert words in text
        assert "None" not in text


def test_an_unknown_ticket_is_refused_in_words_for_the_customer(bot: Path) -> None:
    result = call(bot, "repair_status", ticket="B999")
    assert (result.status, text_of(result)) == ("failed", "there is no repair with the ticket B999")


def test_what_is_no_ticket_is_sent_back_to_the_model(bot: Path) -> None:
    assert call(bot, "repair_status", ticket="my bike").status == "retry"


def test_the_same_call_is_written_down_once(bot: Path) -> None:
    for call_id in ("call-1", "call-1", "call-2"):
        assert call(bot, "request_callback", call_id, phone="020 910 0077", about="repair").status == "ok"
    lines = (bot / "callbacks.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["call-1", "call-2"]


def test_the_intents_are_bound_to_tools_that_exist(bot: Path) -> None:
    intents = load_examples(bot / "intents.yaml")
    bound = {name for binding in intents.bindings.values() for name in binding.tools}
    assert bound | {"request_callback"} == set(tools_of(load("tools.py", bot)))  # a flow calls that one
    assert 5 <= len(intents.bindings) <= 6
    counts = Counter(example.intent for example in intents.examples)
    assert min(counts.values()) >= 15


def test_the_files_of_the_bot_are_all_there(bot: Path) -> None:
    names = {path.relative_to(bot).as_posix() for path in bot.rglob("*") if path.is_file()}
    assert names == {
        "agent.yaml",
        "flows/callback.yaml",
        "intents.yaml",
        "tools.py",
        "knowledge/opening-hours.md",
        "knowledge/prices.md",
        "knowledge/repairs.md",
        "knowledge/warranty.md",
        "replies/ask_ticket.jinja",
        "replies/repair_status.jinja",
        "scenarios/demo.yaml",
    }
