"""The database of a bot, for commands that need no model."""

from __future__ import annotations

from pathlib import Path

from agentkit.bot import load_config
from agentkit.bot.data import database_of
from agentkit.errors import RecordNotFound
from agentkit.store.sqlite_store import SqliteStore


def open_database(bot: Path, database: Path | None, *, create: bool = False) -> SqliteStore:
    """Open the database that a bot talks with.

    Args:
        bot: The bot folder.
        database: Another file than the bot's own.
        create: Make it where there is none yet.

    Raises:
        RecordNotFound: Nobody has talked to the bot yet.
    """
    load_config(bot)
    path = database or database_of(bot)
    if not create and not path.is_file():
        raise RecordNotFound(
            f"The bot has no database yet: there is no {path}.",
            hint=f"Talk to it first (agentkit chat {bot}), or name another file with --database.",
        )
    return SqliteStore.open(path)
