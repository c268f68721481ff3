"""A bot as an MCP server, used by real clients: the SDK's, over stdio and HTTP, and the inspector's command line."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from pydantic import JsonValue

from agentkit.agent import Agent, Settings
from agentkit.agent.reply import fold
from agentkit.remote.mcp.server import Offer, server_of
from agentkit.testing import Calls, HashingEncoder, Says, ScriptedGenerator, ScriptStep
from agentkit.tools import Tool, ToolContext, tool
from tests.architecture.source_tree import ROOT
from tests.remote.mcp import reference

TOOLS = '''
from typing import Annotated
from pydantic import Field
from agentkit import Authority, ToolContext, ToolFailed, tool

@tool(effect="read")
def parcel_status(context: ToolContext, number: Annotated[int, Field(ge=1)]) -> dict[str, object]:
    """Where a parcel is."""
    if number == 13:
        raise ToolFailed("parcel 13 is lost")
    print("tools may print: it must not disturb the protocol")
    return {"number": number, "place": "Porto", "for": context.user_id}

@tool(effect="write")
def return_parcel(number: Annotated[int, Authority()]) -> str:
    """Send a parcel back."""
    return f"{number} goes back"
'''
AGENT = "name: Parcels\ndescription: Knows where parcels are.\ntools: [tools.py]\n"


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / "agent.yaml").write_text(AGENT, encoding="utf-8")
    (folder / "tools.py").write_text(TOOLS, encoding="utf-8")
    return folder


def command(bot: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "agentkit", "mcp", str(bot), "--no-ask", *options]


def over_stdio(bot: Path, *options: str) -> StdioServerParameters:
    program, *arguments = command(bot, *options)
    return StdioServerParameters(command=program, args=arguments, env={**os.environ, "PYTHONPATH": str(ROOT)})


def use(server: Any, question: Callable[[Client], Any]) -> Any:
    async def asked() -> Any:
        async with Client(server) as client:
            return await question(client)

    return asyncio.run(asked())


def test_the_sdk_lists_and_calls_the_tools_over_stdio(bot: Path) -> None:
    async def question(client: Client) -> None:
        listed = (await client.list_tools()).tools
        assert [each.name for each in listed] == ["parcel_status"], (
            "a tool with an effect is not offered unasked"
        )
        assert listed[0].description == "Where a parcel is."
        assert listed[0].annotations is not None
        assert listed[0].annotations.read_only_hint is True
        found = await client.call_tool("parcel_status", {"number": 7})
        assert found.structured_content == {"number": 7, "place": "Porto", "for": "ann"}
        lost = await client.call_tool("parcel_status", {"number": 13})
        assert (lost.is_error, lost.content[0].text) == (True, "parcel 13 is lost")  # type: ignore[union-attr]
        for arguments in ({}, {"number": "7"}, {"number": 0}, {"number": 7, "more": 1}):
            assert (await client.call_tool("parcel_status", arguments)).is_error
        assert (await client.call_tool("return_parcel", {"number": 7})).is_error

    use(over_stdio(bot, "--user", "ann"), question)


def test_tools_with_an_effect_are_offered_on_demand_and_marked(bot: Path) -> None:
    async def question(client: Client) -> None:
        by_name = {each.name: each for each in (await client.list_tools()).tools}
        hints = by_name["return_parcel"].annotations
        assert hints is not None
        assert (hints.read_only_hint, hints.destructive_hint) == (False, True)
        done = await client.call_tool("return_parcel", {"number": 7})
        assert done.content[0].text == "7 goes back"  # type: ignore[union-attr]

    use(over_stdio(bot, "--effects"), question)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_clients_of_the_older_and_the_newer_protocol_are_served_over_http(bot: Path, mode: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command(bot, "--http", str(port)), env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + 60
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)

        async def asked() -> None:
            async with Client(f"http://127.0.0.1:{port}/mcp", mode=mode) as client:
                found = await client.call_tool("parcel_status", {"number": 7})
                assert found.structured_content == {"number": 7, "place": "Porto", "for": "guest"}

        asyncio.run(asked())
    finally:
        process.terminate()
        process.communicate(timeout=30)


def inspect(bot: Path, *options: str) -> Any:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    # The inspector takes the options of the server for its own.
    script = bot.parent / "serve.sh"
    script.write_text(f"exec {shlex.join(command(bot))}\n", encoding="utf-8")
    whole = [*reference.inspector(), "sh", str(script), *options]
    done = subprocess.run(whole, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_inspector_lists_and_calls_the_tools(bot: Path) -> None:
    listed = inspect(bot, "--method", "tools/list")["tools"]
    assert [each["name"] for each in listed] == ["parcel_status"]
    assert listed[0]["inputSchema"]["properties"]["number"]["minimum"] == 1
    called = inspect(bot, "--method", "tools/call", "--tool-name", "parcel_status", "--tool-arg", "number=7")
    assert called["structuredContent"]["place"] == "Porto"


STARTED = threading.Event()
STOPPED = threading.Event()


@tool(effect="read")
def parcel_status(number: int) -> str:
    """Where a parcel is."""
    return f"Parcel {number} is in Porto."


@tool(effect="read")
def slow(context: ToolContext) -> str:
    """Wait until nobody waits any more."""
    STARTED.set()
    if context.cancelled.wait(30):
        STOPPED.set()
    return "late"


@tool(effect="read")
def listed() -> list[int]:
    """Some numbers."""
    return [1, 2]


def offer(agent: Agent | None, tools: Sequence[Tool]) -> Offer:
    def ask(message: str, conversation: str | None, report: Callable[[str], None]) -> dict[str, JsonValue]:
        assert agent is not None
        events = []
        for event in agent.stream(message, user="ann", conversation=conversation):
            report(event.type)
            events.append(event)
        reply = fold(event for event in events)
        return {"reply": reply.text, "conversation": reply.conversation_id}

    context = ToolContext(user_id="ann")
    return Offer("Parcels", "1", "Knows where parcels are.", lambda: tools, context, ask if agent else None)


def test_the_bot_itself_is_asked_in_words_and_tells_how_far_it_is(tmp_path: Path) -> None:
    steps: list[ScriptStep] = [
        Calls([("parcel_status", {"number": 7})]),
        Says("Parcel 7 is in Porto."),
        Calls([("parcel_status", {"number": 8})]),
        Says("Parcel 8 is in Porto."),
    ]
    told: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async def question(client: Client) -> None:
        names = [each.name for each in (await client.list_tools()).tools]
        assert names == ["parcel_status", "ask"]
        first = await client.call_tool(
            "ask", {"message": "Where is parcel 7?"}, progress_callback=on_progress
        )
        assert first.structured_content is not None
        assert first.structured_content["reply"] == "Parcel 7 is in Porto."
        again = {"message": "And parcel 8?", "conversation": first.structured_content["conversation"]}
        second = await client.call_tool("ask", again)
        assert second.structured_content is not None
        assert second.structured_content["conversation"] == first.structured_content["conversation"]
        for wrong in ({}, {"message": 5}, {"message": ""}, {"message": "x", "user": "bo"}):
            assert (await client.call_tool("ask", wrong)).is_error
        stranger = await client.call_tool("ask", {"message": "Hello", "conversation": "not-one-of-mine"})
        assert stranger.is_error

    with (
        ScriptedGenerator(steps) as generator,
        Agent(
            generator=generator,
            encoder=HashingEncoder(64),
            tools=[parcel_status],
            database=tmp_path / "agent.db",
            settings=Settings(tool_similarity=-1.0),
        ) as agent,
    ):
        use(server_of(offer(agent, [parcel_status])), question)
    assert told[0] == "turn_started"
    assert "tool_call_finished" in told


def test_a_call_that_the_client_gives_up_is_told_to_stop() -> None:
    async def question(client: Client) -> None:
        call = asyncio.create_task(client.call_tool("slow", {}))
        while not STARTED.is_set():
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        many = await client.call_tool("listed", {})
        assert (many.structured_content, many.content[0].text) == (None, "[1,2]")  # type: ignore[union-attr]

    use(server_of(offer(None, [slow, listed])), question)
    assert STOPPED.wait(10)


def test_no_two_calls_have_the_same_idempotency_key() -> None:
    @tool(effect="read")
    def key(context: ToolContext) -> str:
        """The key of this call."""
        gc.collect()  # what earlier calls held is free to be used again
        return context.idempotency_key

    async def question(client: Client) -> set[str]:
        return {(await client.call_tool("key", {})).content[0].text for _ in range(5)}  # type: ignore[union-attr]

    assert len(use(server_of(offer(None, [key])), question)) == 5
