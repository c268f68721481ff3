"""`agentkit new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from agentkit.bot import new_bot
from agentkit.cli.terminal import out

app = typer.Typer(help="Write the files of something new.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `bot` a subcommand while it is the only one."""


@app.command()
def bot(folder: Annotated[Path, typer.Argument(help="Folder to create.")]) -> None:
    """A small complete bot: settings, intents, help articles, two tools, a reply template, a scenario."""
    for path in new_bot(folder):
        out.print(Text(f"  {folder / path}", style="dim"))
    out.print(Text(f"Talk to it:   agentkit chat {folder}"))
    out.print(Text(f"See it work:  agentkit demo {folder}"))
