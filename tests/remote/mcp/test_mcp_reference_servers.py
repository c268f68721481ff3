"""The reference servers of the protocol, started with Node.js, used as a bot uses them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import ToolServerError
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.models.schema_support import enforceable
from agentkit.remote.mcp import McpSettings, McpToolset
from agentkit.testing import Calls, Conversation, Says, ScriptStep
from agentkit.tools import ToolContext, get_tool, run_call
from tests.remote.mcp import reference

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def call(toolset: McpToolset, name: str, **arguments: Any) -> ToolResult:
    made = ToolCall(id="1", name=name, arguments=arguments)
    return run_call(get_tool(toolset, name), made, ToolContext(user_id="ann"))


def server_processes() -> set[int]:
    """The children of this process that run Node.js."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-x", "node|MainThread"], capture_output=True, text=True
    )
    return {int(word) for word in found.stdout.split()}


@pytest.fixture(scope="module")
def everything() -> Iterator[McpToolset]:
    settings = McpSettings(command=reference.everything(), read=("*",), resources=True)
    with closing(McpToolset("every", settings)) as toolset:
        yield toolset


def test_its_tools_can_be_called(everything: McpToolset) -> None:
    assert text_of(call(everything, "every_echo", message="hello")) == "Echo: hello"
    assert text_of(call(everything, "every_get-sum", a=2, b=3.5)) == "The sum of 2 and 3.5 is 5.5."
    weather = call(everything, "every_get-structured-content", location="New York").data
    assert isinstance(weather, dict)
    assert set(weather) == {"temperature", "conditions", "humidity"}
    assert "[image, image/png]" in text_of(call(everything, "every_get-tiny-image"))


def test_what_a_server_says_is_never_trusted(everything: McpToolset) -> None:
    result = call(everything, "every_echo", message="hello")
    assert {part.trust for part in result.parts} == {"untrusted"}
    assert all(not tool.trusted for tool in everything.tools())


def test_every_schema_of_it_is_one_that_a_model_can_be_held_to(everything: McpToolset) -> None:
    tools = everything.tools()
    assert len(tools) >= 12
    for tool in tools:
        enforceable(tool.spec.parameters, where=tool.name)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"a": "2", "b": 3}, "`a`"),
        ({"a": 2}, "`b` is missing"),
        ({"a": 1, "b": 2, "c": 3}, "no argument `c`"),
    ],
)
def test_wrong_arguments_never_reach_the_server(
    everything: McpToolset, arguments: dict[str, Any], says: str
) -> None:
    result = call(everything, "every_get-sum", **arguments)
    assert result.status == "retry"
    assert says in text_of(result)


def test_an_error_of_a_tool_is_told(everything: McpToolset) -> None:
    result = call(everything, "every_get-resource-reference", resourceType="Text", resourceId=-1)
    assert result.status in ("failed", "retry")
    assert result.parts[0].trust == "untrusted"


def test_its_resources_and_prompts_can_be_read(everything: McpToolset) -> None:
    listed = call(everything, "every_list_resources").data
    assert isinstance(listed, list)
    first = listed[0]
    assert isinstance(first, dict)
    assert "#" in text_of(call(everything, "every_read_resource", uri=first["uri"]))
    assert call(everything, "every_read_resource", uri="demo://no/such").status == "failed"
    assert {"simple-prompt", "args-prompt"} <= set(everything.prompts())
    (message,) = everything.prompt("args-prompt", {"city": "Cork"})
    assert "Cork" in text_of(message)
    assert message.parts[0].trust == "untrusted"
    with pytest.raises(ToolServerError, match="did not give a prompt"):
        everything.prompt("no-such-prompt")


def test_progress_is_told_and_a_call_can_be_broken_off(everything: McpToolset) -> None:
    told: list[str] = []
    everything.connection.call(
        "trigger-long-running-operation", {"duration": 1, "steps": 4}, seconds=30, report=told.append
    )
    assert [text.split(" ")[0] for text in told] == ["1", "2", "3", "4"]
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    started = time.monotonic()
    context = ToolContext(user_id="ann", cancelled=cancelled)
    arguments = {"duration": 60, "steps": 2}
    made = ToolCall(id="1", name="every_trigger-long-running-operation", arguments=dict(arguments))
    result = run_call(get_tool(everything, made.name), made, context)
    assert result.status == "failed"
    assert time.monotonic() - started < 20
    assert text_of(call(everything, "every_echo", message="still there")) == "Echo: still there"


def test_a_call_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    settings = McpSettings(command=reference.everything(), read=("*",), timeout=2)
    with closing(McpToolset("every", settings)) as toolset:
        toolset.tools()
        result = call(toolset, "every_trigger-long-running-operation", duration=60, steps=2)
        assert result.status in ("timeout", "failed")
        assert text_of(call(toolset, "every_echo", message="on")) == "Echo: on"


def test_a_server_that_is_killed_in_mid_call_gives_an_error_the_turn_goes_on_and_it_is_started_again() -> (
    None
):
    settings = McpSettings(
        command=reference.everything(), read=("*",), tools=("trigger-long-running-operation", "echo")
    )
    others = server_processes()
    with closing(McpToolset("every", settings)) as toolset:
        toolset.tools()
        (process,) = server_processes() - others
        steps: list[ScriptStep] = [
            Calls([("every_trigger-long-running-operation", {"duration": 60, "steps": 2})]),
            Calls([("every_echo", {"message": "hello"})]),
            Says("Echo: hello"),
        ]
        threading.Timer(1.0, os.kill, (process, signal.SIGKILL)).start()
        with Conversation(toolset, steps) as conversation:
            first = conversation.say("Run the long operation")
            second = conversation.say("Echo hello")
        assert [result.status for result in conversation.results] == ["failed", "ok"]
        assert "did not run trigger-long-running-operation" in text_of(conversation.results[0])
        assert first.text
        assert text_of(conversation.results[1]) == "Echo: hello"
        assert second.text
        assert len(server_processes() - others - {process}) == 1, "a new one"
    assert server_processes() <= others, "closing a toolset stops its server"


def test_files_below_one_folder_are_served(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("remember the milk", encoding="utf-8")
    settings = McpSettings(command=reference.filesystem(tmp_path), read=("read_text_file", "list_directory"))
    with closing(McpToolset("files", settings, folder=tmp_path)) as toolset:
        effects = {tool.name: tool.effect for tool in toolset.tools()}
        assert effects["files_read_text_file"] == "read"
        assert effects["files_write_file"] == "egress", "what is not declared counts as the worst"
        read = call(toolset, "files_read_text_file", path=str(tmp_path / "notes.txt"))
        assert "remember the milk" in text_of(read)
        assert call(toolset, "files_read_text_file", path="/etc/passwd").status == "failed"
        assert "notes.txt" in text_of(call(toolset, "files_list_directory", path=str(tmp_path)))


def test_a_memory_of_entities_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_FILE_PATH", str(tmp_path / "memory.json"))
    settings = McpSettings(command=reference.memory(), env=("MEMORY_FILE_PATH",), read=("*",))
    with closing(McpToolset("memory", settings)) as toolset:
        entity = {"name": "Ann", "entityType": "person", "observations": ["likes oak"]}
        made = call(toolset, "memory_create_entities", entities=[entity])
        assert made.status == "ok", text_of(made)
        assert "likes oak" in text_of(call(toolset, "memory_search_nodes", query="oak"))
        wrong = call(toolset, "memory_create_entities", entities=[{"name": "Bo"}])
        assert wrong.status == "retry"
    assert "likes oak" in (tmp_path / "memory.json").read_text(encoding="utf-8")


@contextmanager
def listening(command: tuple[str, ...]) -> Iterator[tuple[str, Callable[[], None]]]:
    """A server on a port of its own: its address, and a function that kills it and starts it again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        for process in running:
            process.kill()
            process.wait()
        process = subprocess.Popen(
            command,
            env=os.environ | {"PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        running.append(process)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError("the server does not listen")

    start()
    try:
        yield f"http://127.0.0.1:{port}/mcp", start
    finally:
        running[-1].kill()
        running[-1].wait()


def test_a_server_is_reached_over_http_and_again_after_it_was_restarted() -> None:
    with listening(reference.everything("streamableHttp")) as (url, restart):
        settings = McpSettings(url=url, read=("*",), timeout=20)
        with closing(McpToolset("every", settings)) as toolset:
            assert text_of(call(toolset, "every_echo", message="hello")) == "Echo: hello"
            threading.Timer(1.0, restart).start()
            started = time.monotonic()
            broken = call(toolset, "every_trigger-long-running-operation", duration=60, steps=2)
            assert broken.status in ("failed", "timeout")
            assert time.monotonic() - started < 40
            results = [call(toolset, "every_echo", message="again") for _ in range(2)]
            assert text_of(results[-1]) == "Echo: again"
