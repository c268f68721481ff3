"""`agentkit memory`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agentkit.bot import load_config
from agentkit.cli.options import BotArgument, DatabaseOption, JsonOption, UserOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.store import open_database
from agentkit.cli.terminal import err, out
from agentkit.memory import Recall
from agentkit.models import load_encoder

app = typer.Typer(help="Look at what a bot remembers of a user.", no_args_is_help=True)


@app.command()
def show(
    bot: BotArgument,
    user: UserOption = "guest",
    database: DatabaseOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Messages, too, not only facts.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What is remembered of a user, oldest first."""
    store = open_database(bot, database)
    try:
        records = store.for_user("default", user).memories(None if everything else "fact")
    finally:
        store.close()
    if as_json:
        out.print_json(json.dumps([record.model_dump(mode="json") for record in records]))
        return
    if not records:
        out.print(Text(f"Nothing is remembered of {user}.", style="dim"))
        return
    table = Table(box=None, header_style="bold")
    for column in ("since", "kind", "trust", "text"):
        table.add_column(column, overflow="fold")
    for record in records:
        table.add_row(f"{record.created_at:%Y-%m-%d %H:%M}", record.kind, record.trust, Text(record.text))
    out.print(table)


@app.command()
def search(
    bot: BotArgument,
    query: Annotated[str, typer.Argument(help="What to look for, in any words.")],
    user: UserOption = "guest",
    database: DatabaseOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most memories to show.")] = 5,
) -> None:
    """Find memories of a user by meaning, with their similarity."""
    config = load_config(bot)
    store = open_database(bot, database)
    try:
        encoder = load_encoder(config.encoder, progress=BarProgress(err))
        found = Recall(store.for_user("default", user), encoder).search(
            query, limit=limit, min_similarity=-1.0
        )
    finally:
        store.close()
    if not found:
        out.print(Text(f"Nothing is remembered of {user}.", style="dim"))
    for each in found:
        out.print(Text(f"  {each.similarity:5.2f}  {each.kind:7}  {each.text}"))
