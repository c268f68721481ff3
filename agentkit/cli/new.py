"""`agentkit new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from agentkit.bot import new_bot
from agentkit.cli.terminal import out
from agentkit.plugins import new_plugin

app = typer.Typer(help="Write the files of something new.", no_args_is_help=True)


@app.command()
def bot(folder: Annotated[Path, typer.Argument(help="Folder to create.")]) -> None:
    """A small complete bot: settings, intents, help articles, two tools, a reply template, a scenario."""
    for path in new_bot(folder):
        out.print(Text(f"  {folder / path}", style="dim"))
    out.print(Text(f"Talk to it:   agentkit chat {folder}"))
    out.print(Text(f"See it work:  agentkit demo {folder}"))


@app.command()
def plugin(
    folder: Annotated[Path, typer.Argument(help="Folder to create; its name is the plugin's, too.")],
) -> None:
    """A package with one tool: pyproject, tests, README, and a bot with a scenario that shows it."""
    written = new_plugin(folder)
    for path in written:
        out.print(Text(f"  {folder / path}", style="dim"))
    name = next(path.parent.name for path in written if path.name == "tools.py")
    out.print(Text(f"Install it:  pip install -e {folder}"))
    out.print(Text(f'Call it:     agentkit tools call {name} text="To be or not to be"'))
    out.print(Text(f"Test it:     pytest {folder}"))
