"""`agentkit tools`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from agentkit.bot import load_config
from agentkit.bot.code import tools_of
from agentkit.cli.options import JsonOption, UserOption
from agentkit.cli.terminal import err, out
from agentkit.errors import ConfigurationError, ToolRetry
from agentkit.messages import ToolCall, text_of
from agentkit.plugins import load_plugins
from agentkit.tools import StaticToolset, Tool, ToolContext, run_call, validate_arguments

app = typer.Typer(help="Look at tools and call them by hand.", no_args_is_help=True)

_BotOption = Annotated[
    Path | None, typer.Option("--bot", "-b", help="A bot folder: its tools instead of those of the plugins.")
]


@app.command("list")
def list_tools(bot: _BotOption = None, as_json: JsonOption = False) -> None:
    """The tools of a bot, or those that installed plugins add."""
    tools = _tools(bot)
    if as_json:
        specs = [{**t.spec.model_dump(), "effect": t.effect, "idempotent": t.idempotent} for t in tools]
        out.print_json(json.dumps(specs))
        return
    table = Table(box=None, header_style="bold")
    for column in ("tool", "effect", "arguments", "what it does"):
        table.add_column(column, overflow="fold")
    for tool in tools:
        arguments = ", ".join(tool.spec.parameters.get("properties", {}))
        table.add_row(
            Text(tool.name), Text(tool.effect), Text(arguments), Text(tool.spec.description.split("\n")[0])
        )
    out.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of the tool.")], bot: _BotOption = None) -> None:
    """What a model is told about a tool, and how it may be called."""
    tool = _tool(name, bot)
    out.print(Text(tool.name, style="bold"), Text(f"({tool.effect}, {tool.timeout:g} s)", style="dim"))
    out.print(Text(tool.spec.description))
    if tool.guarded:
        names = ", ".join(sorted(tool.guarded))
        out.print(Text(f"authority arguments, never invented: {names}", style="dim"))
    out.print(Syntax(json.dumps(tool.spec.parameters, indent=2), "json", background_color="default"))


@app.command()
def call(
    name: Annotated[str, typer.Argument(help="Name of the tool.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="name=value …; values that are JSON are read as such.")
    ] = None,
    bot: _BotOption = None,
    user: UserOption = "guest",
) -> None:
    """Run a tool as the agent would: validated, with its time limit, its result bounded.

    Exits with 1 if the tool did not succeed.
    """
    tool = _tool(name, bot)
    given = dict(_argument(each, tool) for each in arguments or [])
    request = ToolCall(id="cli", name=tool.name, arguments=given)
    try:
        validate_arguments(tool, given)
    except ToolRetry as problem:
        raise ConfigurationError(
            str(problem), hint=f"`agentkit tools show {name}` shows the arguments."
        ) from problem
    context = ToolContext(
        user_id=user,
        tenant="default",
        conversation_id="cli",
        turn_id="cli",
        call_id="cli",
        now=lambda: datetime.now(UTC),
        services={},
        profile={},
        cancelled=Event(),
    )
    result = run_call(tool, request, context)
    if result.data is not None:
        out.print_json(json.dumps(result.data))
    else:
        out.print(Text(text_of(result)))
    if result.status != "ok":
        err.print(Text(f"{result.status}", style="yellow"))
        raise typer.Exit(1)


def _argument(text: str, tool: Tool) -> tuple[str, JsonValue]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ConfigurationError(
            f"{text!r} is no argument.", hint="Write name=value, for example order_id=1042."
        )
    schema = tool.spec.parameters.get("properties", {}).get(name, {})
    if schema.get("type") == "string":
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _tools(bot: Path | None) -> Sequence[Tool]:
    if bot is not None:
        return tools_of(bot, load_config(bot))
    report = load_plugins()
    for broken in report.broken:
        err.print(Text(f"the plugin {broken.name} is switched off: {broken.error.message}", style="yellow"))
    return list(report.tools.values())


def _tool(name: str, bot: Path | None) -> Tool:
    try:
        return StaticToolset(_tools(bot)).get(name)
    except ToolRetry as problem:
        raise ConfigurationError(str(problem), hint="`agentkit tools list` shows what there is.") from problem
