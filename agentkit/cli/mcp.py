"""`agentkit mcp`: a bot as an MCP server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import JsonValue
from rich.text import Text

import agentkit
from agentkit.agent.reply import fold
from agentkit.bot import Bot, load_config, open_bot
from agentkit.bot.code import tools_of
from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err
from agentkit.errors import ConfigurationError
from agentkit.events import Event
from agentkit.tools import Tool, ToolContext


def mcp(
    folder: Path, *, user: str, http: int | None, host: str, effects: bool, ask: bool, model: str | None
) -> None:
    """Serve a bot until the client leaves or Ctrl-C."""
    try:
        from agentkit.remote.mcp.server import Offer, serve_http, serve_stdio
    except ModuleNotFoundError as problem:
        raise ConfigurationError(
            f"The MCP SDK is not installed ({problem}).", hint="pip install 'agentkit-local[mcp]'"
        ) from problem

    config = load_config(folder)
    bot = open_bot(folder, generator=model, progress=BarProgress(err)) if ask else None
    tools = bot.tools if bot is not None else tools_of(folder, config)

    def offered() -> Sequence[Tool]:
        return [tool for tool in tools.toolset.tools() if effects or tool.effect == "read"]

    offer = Offer(
        name=config.name,
        version=agentkit.__version__,
        description=config.description,
        tools=offered,
        context=ToolContext(user_id=user, tenant="default", conversation_id="mcp", turn_id="mcp"),
        ask=_asking(bot, user) if bot is not None else None,
    )
    try:
        if http is None:
            serve_stdio(offer)
        else:
            err.print(Text(f"{config.name} at http://{host}:{http}/mcp; Ctrl-C ends it."))
            serve_http(offer, host, http)
    finally:
        if bot is not None:
            bot.close()
        else:
            tools.close()


def _asking(bot: Bot, user: str) -> Callable[[str, str | None, Callable[[str], None]], dict[str, JsonValue]]:
    def ask(message: str, conversation: str | None, report: Callable[[str], None]) -> dict[str, JsonValue]:
        def told() -> Sequence[Event]:
            events: list[Event] = []
            place = conversation or bot.agent.new_conversation(user=user)
            for event in bot.agent.stream(message, user=user, conversation=place):
                report(event.type)
                events.append(event)
            return events

        reply = fold(event for event in told())
        return {
            "reply": reply.text,
            "conversation": reply.conversation_id,
            "source": reply.source,
            "declined": reply.declined,
            "awaits_approval": list(reply.approvals),
        }

    return ask
