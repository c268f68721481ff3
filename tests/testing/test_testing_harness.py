"""The harness for plugin authors finds what a tool promises and does not keep."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from agentkit.messages import text_of
from agentkit.testing import Calls, Conversation, Says, ScriptError, ScriptStep, ToolHarness
from agentkit.tools import Tool, ToolContext, tool


def write_file(folder: Path) -> None:
    (folder / "new.txt").write_text("x", encoding="utf-8")


def remove_file(folder: Path) -> None:
    (folder / "old.txt").unlink()


def write_database(folder: Path) -> None:
    sqlite3.connect(folder / "x.db").close()


def make_folder(folder: Path) -> None:
    (folder / "sub").mkdir()


def remove_tree(folder: Path) -> None:
    shutil.rmtree(folder / "tree")


def start_process(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def connect(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


EFFECTS = [write_file, remove_file, write_database, make_folder, remove_tree, start_process, connect]


def look_and(do: Callable[[Path], None], folder: Path) -> Tool:
    @tool(effect="read")
    def look() -> str:
        """Look, and do something that was not declared."""
        do(folder)
        return "seen"

    return look


@pytest.mark.parametrize("do", EFFECTS, ids=lambda do: do.__name__)
def test_a_tool_that_only_looks_and_does_more_is_found_out(
    do: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / "old.txt").touch()
    (tmp_path / "tree").mkdir()
    with pytest.raises(AssertionError, match="declared as `read`, but it"):
        ToolHarness(look_and(do, tmp_path)).check_effect()


@pytest.mark.parametrize("do", EFFECTS, ids=lambda do: do.__name__)
def test_a_tool_that_declares_its_effect_may_have_it(do: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "old.txt").touch()
    (tmp_path / "tree").mkdir()
    made = tool(effect="write")(look_and(do, tmp_path).function)
    assert text_of(ToolHarness(made).check_effect()) == "seen"


def test_reading_is_no_effect_and_connecting_may_be_allowed(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("x", encoding="utf-8")
    ToolHarness(look_and(lambda folder: print((folder / "old.txt").read_text()), tmp_path)).check_effect()
    ToolHarness(look_and(connect, tmp_path)).check_effect(connects=True)


def test_what_happens_beside_the_call_is_not_held_against_the_tool(tmp_path: Path) -> None:
    write_file(tmp_path)
    ToolHarness(look_and(lambda _: None, tmp_path)).check_effect()


def test_a_tool_that_calls_itself_idempotent_and_is_not_is_found_out() -> None:
    made: list[str] = []

    @tool(effect="write", idempotent=True)
    def add(context: ToolContext) -> int:
        """Add one."""
        made.append(context.call_id)
        return len(made)

    with pytest.raises(AssertionError, match="declared idempotent, but repeated it says '2' instead of '1'"):
        ToolHarness(add).check_effect()
    assert len(set(made)) == 1, "both calls had the same id, as after a crash"


def test_a_call_that_fails_is_no_check_of_its_effect() -> None:
    with pytest.raises(AssertionError, match="ended with retry"):
        ToolHarness(look_and(lambda _: None, Path())).check_effect({"no": 1})


def test_an_argument_that_nothing_describes_is_named() -> None:
    @tool(effect="read")
    def look(here: str) -> str:
        """Look."""
        return here

    with pytest.raises(AssertionError, match="nothing says what the argument `here` is"):
        ToolHarness(look).check_schema()


def test_a_schema_that_no_model_can_be_held_to_is_found() -> None:
    @tool(effect="read")
    def look(here: Annotated[list[int], Field(json_schema_extra={"contains": {"const": 1}})]) -> str:
        """Look.

        Args:
            here: Where, one of them 1.
        """
        return str(here)

    with pytest.raises(AssertionError, match="no model can be held to the schema"):
        ToolHarness(look).check_schema()


def test_two_harnesses_never_use_one_call_id() -> None:
    @tool(effect="read")
    def look(context: ToolContext) -> str:
        """Look."""
        return context.call_id

    ids = [text_of(ToolHarness(look).call()) for _ in range(3)]
    assert len(set(ids)) == 3


def test_a_conversation_keeps_its_results_and_misses_unused_steps() -> None:
    @tool(effect="read")
    def opening(day: str) -> str:
        """When the shop is open on a day."""
        return f"On {day} from 9 to 18."

    steps: list[ScriptStep] = [Calls([("opening", {"day": "Monday"})]), Says("On Monday from 9 to 18.")]
    with Conversation([opening], steps) as conversation:
        assert conversation.say("When are you open on Monday?").text == "On Monday from 9 to 18."
    assert [text_of(result) for result in conversation.results] == ["On Monday from 9 to 18."]
    with (
        pytest.raises(ScriptError, match="1 of 3 steps were not used"),
        Conversation([opening], [*steps, Says("more")]) as conversation,
    ):
        conversation.say("When are you open on Monday?")
