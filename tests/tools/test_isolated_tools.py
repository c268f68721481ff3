"""Isolated tools: a process of their own with limits, killed with its children."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from agentkit.errors import ToolDefinitionError
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.tools import Tool, ToolContext, run_call, tool
from tests.tools import isolated_tools


def ran(which: Tool, **arguments: JsonValue) -> ToolResult:
    call = ToolCall(id="c1", name=which.name, arguments=arguments)
    return run_call(which, call, ToolContext(user_id="ada", call_id="c1"))


def test_it_runs_in_another_process_with_the_context_and_without_its_noise() -> None:
    result = ran(isolated_tools.add, a=2, b=3)
    assert isinstance(result.data, dict)
    assert (result.status, result.data["sum"], result.data["user"]) == ("ok", 5, "ada")
    assert result.data["process"] != os.getpid()


def test_keys_in_the_environment_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_API_KEY", "secret")
    result = ran(isolated_tools.environment)
    assert isinstance(result.data, list)
    assert "PATH" in result.data
    assert "SERVICE_API_KEY" not in result.data


def test_its_arguments_are_checked() -> None:
    result = ran(isolated_tools.add, a="2", b=3)
    assert result.status == "retry"
    assert "expected an integer" in text_of(result)


@pytest.mark.parametrize(
    ("how", "status", "text"),
    [
        ("retry", "retry", "say it again"),
        ("failed", "failed", "it is closed"),
        ("raise", "failed", "internal error (KeyError)"),
        ("exit", "failed", "ended without a result"),
    ],
)
def test_what_it_raises_means_the_same_as_in_this_process(how: str, status: str, text: str) -> None:
    result = ran(isolated_tools.refuse, how=how)
    assert result.status == status
    assert text in text_of(result)
    assert "secret" not in text_of(result)


def test_memory_beyond_the_limit_is_refused_to_it() -> None:
    assert ran(isolated_tools.fill, megabytes=20).data == 20_000_000
    result = ran(isolated_tools.fill, megabytes=2_000)
    assert result.status == "failed"
    assert "MemoryError" in text_of(result)


def test_a_file_beyond_the_limit_is_refused_to_it(tmp_path: Path) -> None:
    path = tmp_path / "large"
    assert ran(isolated_tools.write, path=str(path), megabytes=3).status == "failed"
    assert path.stat().st_size <= 1_000_000


@pytest.mark.slow
def test_processor_time_beyond_the_limit_ends_it() -> None:
    result = ran(isolated_tools.compute)
    assert result.status == "failed"
    assert "limits" in text_of(result)


@pytest.mark.slow
def test_a_call_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    assert ran(isolated_tools.hang, path=str(path)).status == "timeout"
    pids = [int(pid) for pid in path.read_text().split()]
    assert len(pids) == 3
    eventually(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # ended, and not yet waited for by whoever inherited it


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_function_inside_another_one_cannot_be_isolated() -> None:
    with pytest.raises(ToolDefinitionError, match="cannot find it"):

        @tool(effect="read", isolated=True)
        def inner() -> str:
            """Nobody finds this."""
            return ""
