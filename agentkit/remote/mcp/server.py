"""A bot as an MCP server: its tools, and the bot itself as a tool that is asked in words."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio
import anyio.from_thread
import anyio.to_thread
import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from pydantic import JsonValue

from agentkit.errors import AgentKitError, ToolRetry
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.tools import StaticToolset, Tool, ToolContext, run_call

ASK: Final = "ask"
"""Name of the tool that is the bot itself."""

_logger: Final = logging.getLogger("agentkit.remote")
_CONVERSATION: Final = "conversation"
_MESSAGE: Final = "message"
_PATH: Final = "/mcp"


@dataclass(frozen=True)
class Offer:
    """What is served.

    Args:
        name: Name of the bot.
        version: Version of agentkit.
        description: What the bot is for, in its author's words.
        tools: The tools, asked anew for every request.
        context: What they are told about the client; each call gets its own id.
        ask: Answers a message in a conversation (None: a new one), and is given what to report events with; returns
            an object with the reply. None: the bot itself is not offered.
    """

    name: str
    version: str
    description: str
    tools: Callable[[], Sequence[Tool]]
    context: ToolContext
    ask: Callable[[str, str | None, Callable[[str], None]], dict[str, JsonValue]] | None = None


def server_of(offer: Offer) -> Server[Any]:
    """The MCP server of a bot, to be run over a transport."""

    async def list_tools(
        context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        tools = [_described(tool) for tool in await anyio.to_thread.run_sync(offer.tools)]
        return types.ListToolsResult(tools=[*tools, *([_ask_tool(offer)] if offer.ask is not None else [])])

    async def call_tool(
        context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        cancelled = threading.Event()

        def report(text: str) -> None:
            _logger.debug("%s: %s", params.name, text)
            anyio.from_thread.run(_report, context, steps, text)

        steps: list[str] = []
        try:
            return await anyio.to_thread.run_sync(
                lambda: _answered(offer, params, cancelled, report), abandon_on_cancel=True
            )
        finally:
            cancelled.set()  # where the client has gone on without it, the tool should stop

    return Server(
        offer.name,
        version=offer.version,
        instructions=offer.description or None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def serve_stdio(offer: Offer) -> None:
    """Serve one client over standard input and output until it leaves."""

    async def serve() -> None:
        server = server_of(offer)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(serve)


def serve_http(offer: Offer, host: str, port: int) -> None:
    """Serve clients over streamable HTTP at `/mcp` until Ctrl-C.

    Requests from web pages of other origins are refused where `host` is this machine.
    """
    import uvicorn

    app = server_of(offer).streamable_http_app(streamable_http_path=_PATH, host=host)
    uvicorn.run(app, host=host, port=port, log_level="warning")


async def _report(context: ServerRequestContext[Any], steps: list[str], text: str) -> None:
    steps.append(text)
    await context.session.report_progress(len(steps), message=text)


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.spec.description,
        input_schema=tool.spec.parameters,
        annotations=types.ToolAnnotations(
            read_only_hint=tool.effect == "read",
            destructive_hint=tool.effect != "read",
            idempotent_hint=tool.idempotent or tool.effect == "read",
            open_world_hint=tool.effect == "egress",
        ),
    )


def _ask_tool(offer: Offer) -> types.Tool:
    text = {"type": "string"}
    return types.Tool(
        name=ASK,
        description=f"{offer.name}: {offer.description}" if offer.description else offer.name,
        input_schema={
            "type": "object",
            "properties": {_MESSAGE: text, _CONVERSATION: text},
            "required": [_MESSAGE],
            "additionalProperties": False,
        },
        annotations=types.ToolAnnotations(read_only_hint=False, open_world_hint=False),
    )


def _answered(
    offer: Offer,
    params: types.CallToolRequestParams,
    cancelled: threading.Event,
    report: Callable[[str], None],
) -> types.CallToolResult:
    arguments = dict(params.arguments or {})
    if params.name == ASK and offer.ask is not None:
        return _asked(offer.ask, arguments, report)
    try:
        tool = StaticToolset(offer.tools()).get(params.name)
    except ToolRetry as problem:
        return _failed(str(problem))
    context = replace(offer.context, call_id=f"mcp-{secrets.token_hex(12)}", cancelled=cancelled)
    return _result(run_call(tool, ToolCall(id=context.call_id, name=tool.name, arguments=arguments), context))


def _asked(
    ask: Callable[[str, str | None, Callable[[str], None]], dict[str, JsonValue]],
    arguments: dict[str, Any],
    report: Callable[[str], None],
) -> types.CallToolResult:
    message, conversation = arguments.pop(_MESSAGE, None), arguments.pop(_CONVERSATION, None)
    if (
        arguments
        or not isinstance(message, str)
        or not (conversation is None or isinstance(conversation, str))
    ):
        return _failed(
            f"{ASK} takes a text `{_MESSAGE}` and, to go on, the text `{_CONVERSATION}` of an earlier reply"
        )
    try:
        reply = ask(message, conversation, report)
    except AgentKitError as problem:
        return _failed(problem.message)
    return types.CallToolResult(content=[_text(str(reply["reply"]))], structured_content=reply)


def _result(result: ToolResult) -> types.CallToolResult:
    if result.status != "ok":
        return _failed(text_of(result))
    data = result.data
    # The protocol wants an object; anything else goes as text alone.
    structured = data if isinstance(data, dict) else None
    text = text_of(result) if structured is None else json.dumps(structured, ensure_ascii=False)
    return types.CallToolResult(content=[_text(text)], structured_content=structured)


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[_text(text)], is_error=True)


def _text(text: str) -> types.TextContent:
    return types.TextContent(type="text", text=text)
