"""`agentkit tools`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
import yaml
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from agentkit.bot import load_config
from agentkit.bot.code import tools_of
from agentkit.bot.config import CONFIG_FILE
from agentkit.bot.services import add_service
from agentkit.cli.arguments import arguments_of
from agentkit.cli.options import JsonOption, UserOption
from agentkit.cli.terminal import err, out
from agentkit.errors import ConfigurationError, ToolRetry
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.plugins import load_plugins
from agentkit.remote.openapi import ServiceSettings, ServiceToolset, load_document
from agentkit.tools import StaticToolset, Tool, ToolContext, run_call, validate_arguments

app = typer.Typer(help="Look at tools and call them by hand.", no_args_is_help=True)

_BotOption = Annotated[
    Path | None, typer.Option("--bot", "-b", help="A bot folder: its tools instead of those of the plugins.")
]


@app.command("list")
def list_tools(bot: _BotOption = None, as_json: JsonOption = False) -> None:
    """The tools of a bot, or those that installed plugins add."""
    with _opened(bot) as tools:
        pass
    if as_json:
        specs = [{**t.spec.model_dump(), "effect": t.effect, "idempotent": t.idempotent} for t in tools]
        out.print_json(json.dumps(specs))
        return
    out.print(_table(tools))


def _table(tools: Sequence[Tool]) -> Table:
    table = Table(box=None, header_style="bold")
    for column in ("tool", "effect", "arguments", "what it does"):
        table.add_column(column, overflow="fold")
    for tool in tools:
        arguments = ", ".join(tool.spec.parameters.get("properties", {}))
        table.add_row(
            Text(tool.name), Text(tool.effect), Text(arguments), Text(tool.spec.description.split("\n")[0])
        )
    return table


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of the tool.")], bot: _BotOption = None) -> None:
    """What a model is told about a tool, and how it may be called."""
    with _opened(bot) as tools:
        tool = _named(name, tools)
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
    with _opened(bot) as tools:
        result = _called(_named(name, tools), arguments or [], user)
    if result.data is not None:
        out.print_json(json.dumps(result.data))
    else:
        out.print(Text(text_of(result)))
    if result.status != "ok":
        err.print(Text(f"{result.status}", style="yellow"))
        raise typer.Exit(1)


def _called(tool: Tool, arguments: Sequence[str], user: str) -> ToolResult:
    given = arguments_of(arguments, tool.name, [tool])
    request = ToolCall(id="cli", name=tool.name, arguments=given)
    try:
        validate_arguments(tool, given)
    except ToolRetry as problem:
        raise ConfigurationError(
            str(problem), hint=f"`agentkit tools show {tool.name}` shows the arguments."
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
    return run_call(tool, request, context)


@app.command()
def accept(
    server: Annotated[str, typer.Argument(help="Name of the MCP server in agent.yaml.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Its tools, as the server calls them; none: all.")
    ] = None,
    bot: Annotated[Path, typer.Option("--bot", "-b", help="The bot folder.")] = Path(),
) -> None:
    """Accept tools of an MCP server as they are now.

    A tool that was changed, or that is new on a server that was used before, is switched off until then.
    """
    with closing(tools_of(bot, load_config(bot))) as tools:
        found = next((each for each in tools.servers if each.name == server), None)
        if found is None:
            known = ", ".join(each.name for each in tools.servers) or "none"
            raise ConfigurationError(
                f"The bot has no MCP server called {server!r}.", hint=f"Its servers are: {known}."
            )
        accepted = found.accept(names)
        for name in accepted:
            out.print(Text(f"accepted {name}"))
        for problem in found.problems.values():
            err.print(Text(problem, style="yellow"))
        if missing := sorted(set(names or ()) - set(accepted)):
            raise ConfigurationError(
                f"The server {server} offers no tool called {missing[0]!r}.",
                hint="`agentkit tools list` shows them.",
            )


@app.command("import")
def import_service(
    description: Annotated[Path, typer.Argument(help="An OpenAPI file, 3.0 or 3.1, YAML or JSON.")],
    bot: Annotated[
        Path | None, typer.Option("--bot", "-b", help="A bot folder: the service is added to it.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the bot calls the service; by default the file's name.")
    ] = None,
    server: Annotated[
        str, typer.Option(help="Address of the service, if not the first one of the file.")
    ] = "",
    private: Annotated[
        bool, typer.Option("--private", help="It is on this machine or in its private network.")
    ] = False,
) -> None:
    """Make tools from the description of an HTTP service.

    Shows the tools. With --bot the file is copied into the bot folder, and the service is added to agent.yaml. Keys
    and tokens come from environment variables that agent.yaml names, never from a model.
    """
    chosen = re.sub(r"\W+", "_", name or description.name.split(".")[0]).lower()
    document = load_document(description)
    auth = {each: f"{chosen}_{each}".upper().replace("-", "_") for each in document.schemes}
    settings = ServiceSettings(openapi=description.name, server=server, auth=auth, private=private)
    toolset = ServiceToolset(chosen, settings, folder=description.resolve().parent)
    out.print(_table(toolset.tools()))
    for operation, problem in toolset.problems.items():
        err.print(Text(f"left out {operation}: {problem}", style="yellow"))
    values = settings.model_dump(exclude_defaults=True)
    if bot is None:
        out.print(Text(yaml.safe_dump({"services": {chosen: values}}, sort_keys=False)))
        return
    add_service(bot, chosen, values, description)
    out.print(Text(f"added to {bot / CONFIG_FILE}"))
    for scheme, variable in auth.items():
        out.print(Text(f"{scheme}: export {variable}=…"))


@contextmanager
def _opened(bot: Path | None) -> Iterator[Sequence[Tool]]:
    """The tools of a bot, or those of the plugins; a server that was started for them ends with the block."""
    if bot is None:
        yield _of_plugins()
        return
    with closing(tools_of(bot, load_config(bot))) as tools:
        yield tools.toolset.tools()
        for server in tools.servers:
            for problem in server.problems.values():
                err.print(Text(f"MCP server {server.name}: {problem}", style="yellow"))


def _of_plugins() -> Sequence[Tool]:
    report = load_plugins()
    for broken in report.broken:
        err.print(Text(f"the plugin {broken.name} is switched off: {broken.error.message}", style="yellow"))
    return list(report.tools.values())


def _named(name: str, tools: Sequence[Tool]) -> Tool:
    try:
        return StaticToolset(tools).get(name)
    except ToolRetry as problem:
        raise ConfigurationError(str(problem), hint="`agentkit tools list` shows what there is.") from problem
