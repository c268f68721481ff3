"""The desk of a bot, for people who answer: it needs the bot's folder and database, and no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agentkit.agent.hand_off_desk import HandOffDesk
from agentkit.agent.replies import Replies
from agentkit.bot.config import BotConfig, load_config
from agentkit.bot.data import kept_database
from agentkit.prompts import PromptLibrary
from agentkit.store.sqlite_store import SqliteStore


@dataclass(frozen=True)
class OpenDesk:
    """A desk that is open.

    Args:
        folder: The bot's folder.
        config: Its `agent.yaml`.
        store: Its database.
        desk: The queue.
    """

    folder: Path
    config: BotConfig
    store: SqliteStore
    desk: HandOffDesk

    def close(self) -> None:
        """Close the database."""
        self.store.close()


def open_desk(
    folder: Path,
    database: Path | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> OpenDesk:
    """Open the desk of a bot.

    Args:
        folder: The bot folder.
        database: Another file than the bot's own.
        now: The clock, aware UTC.

    Raises:
        BotFileError: `agent.yaml` is missing or wrong.
        RecordNotFound: Nobody has talked to the bot yet.
        StoreError: The database cannot be used.
    """
    config = load_config(folder)
    path = kept_database(folder, database)
    prompts = PromptLibrary([folder / config.prompts] if config.prompts else [])
    replies = Replies(prompts, folder / config.replies if config.replies else None, config.contact.strip())
    store = SqliteStore.open(path, clock=now)
    return OpenDesk(folder, config, store, HandOffDesk(store, replies, config.desk, now))
