"""`agentkit flows`: check the business processes of a bot, and draw them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from agentkit.cli.options import BotArgument
from agentkit.cli.terminal import out
from agentkit.errors import BotFileError

app = typer.Typer(help="Check and draw the business processes of a bot.", no_args_is_help=True)


class Format(StrEnum):
    """How a flow is drawn."""

    svg = "svg"
    mermaid = "mermaid"


@app.command("check")
def check(bot: BotArgument) -> None:
    """Find dead ends, unreachable steps, unset values, loops without exit and effects that nobody is asked about."""
    from agentkit.bot.flows import load_bot_flows
    from agentkit.service.checking import check_flows

    book = load_bot_flows(bot)
    found = check_flows(book)
    for each in found:
        out.print(Text.assemble((f"{each.path}:{each.line}", "bold"), f": {each.message}"), soft_wrap=True)
        if each.hint:
            out.print(Text(f"  → {each.hint}"), soft_wrap=True)
    own = sum(not each.flow.is_pattern for each in book.flows.values())
    rules = len(book.policies)
    out.print(f"{own} flows, {rules} policies: {len(found) or 'nothing'} found.")
    if found:
        raise typer.Exit(1)


@app.command("graph")
def graph(
    bot: BotArgument,
    flow: Annotated[str | None, typer.Option(help="Only this flow.")] = None,
    format: Annotated[Format, typer.Option(help="A picture, or text for Mermaid.")] = Format.svg,
    to: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for one file a flow; without it Mermaid goes to the terminal."),
    ] = None,
) -> None:
    """Draw the flows of a bot."""
    from agentkit.bot.flows import load_bot_flows
    from agentkit.service.graph import mermaid, svg

    book = load_bot_flows(bot)
    own = {name: each for name, each in book.flows.items() if not each.flow.is_pattern or name == flow}
    if flow is not None and flow not in own:
        raise BotFileError(
            f"there is no flow {flow!r}", path=bot, hint=f"The flows are: {', '.join(own) or 'none'}."
        )
    chosen = own if flow is None else {flow: own[flow]}
    if to is None and format is Format.mermaid:
        for each in chosen.values():
            typer.echo(mermaid(each), nl=False)
        return
    folder = to or Path("flows-of-" + bot.resolve().name)
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in chosen.items():
        path = folder / (f"{name}.svg" if format is Format.svg else f"{name}.mmd")
        path.write_text(svg(each) if format is Format.svg else mermaid(each), encoding="utf-8")
        out.print(Text(str(path)), soft_wrap=True)
