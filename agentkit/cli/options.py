"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BotArgument = Annotated[Path, typer.Argument(help="A bot folder: one with agent.yaml.", metavar="BOT")]
UserOption = Annotated[str, typer.Option("--user", "-u", help="Who is signed in.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Generator instead of the one in agent.yaml: catalogue name, folder, Hugging Face id or server.",
    ),
]
DatabaseOption = Annotated[
    Path | None,
    typer.Option("--database", help="SQLite file instead of the bot's own in the user's data folder."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
