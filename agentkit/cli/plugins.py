"""`agentkit plugins`."""

from __future__ import annotations

import json

import typer
from rich.table import Table
from rich.text import Text

from agentkit.cli.options import JsonOption
from agentkit.cli.terminal import err, out, show_error
from agentkit.plugins import load_plugins

app = typer.Typer(help="Look at the installed plugins.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `list` a subcommand while it is the only one."""


@app.command("list")
def list_plugins(as_json: JsonOption = False) -> None:
    """What is installed, what it adds, and what is switched off and why.

    Exits with 1 if a plugin is switched off; everything else works without it.
    """
    report = load_plugins()
    if as_json:
        loaded = [
            {"name": p.name, "package": p.distribution, "tools": p.tools, "error": None}
            for p in report.loaded
        ]
        broken = [
            {"name": p.name, "package": p.distribution, "tools": [], "error": p.error.message}
            for p in report.broken
        ]
        out.print_json(json.dumps(loaded + broken))
    else:
        table = Table(box=None, header_style="bold")
        for column in ("plugin", "package", "tools"):
            table.add_column(column, overflow="fold")
        for plugin in report.loaded:
            table.add_row(Text(plugin.name), Text(plugin.distribution), Text(", ".join(plugin.tools)))
        for each in report.broken:
            table.add_row(Text(each.name), Text(each.distribution), Text("switched off", style="yellow"))
        out.print(table)
        for each in report.broken:
            err.print()
            show_error(each.error)
    if report.broken:
        raise typer.Exit(1)
