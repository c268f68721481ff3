"""The database of a bot, for commands that need no model."""

from __future__ import annotations

from pathlib import Path

from agentkit.bot import load_config
from agentkit.bot.data import database_of, kept_database
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
    return SqliteStore.open((database or database_of(bot)) if create else kept_database(bot, database))
