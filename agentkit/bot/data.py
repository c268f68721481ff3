"""Where a bot keeps what it learns: outside its folder, which may be read-only or shared."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import platformdirs

from agentkit.errors import RecordNotFound


def data_folder() -> Path:
    """The folder of all databases: `AGENTKIT_DATA` if set, else the user's data folder."""
    override = os.environ.get("AGENTKIT_DATA")
    return Path(override) if override else platformdirs.user_data_path("agentkit")


def database_of(folder: Path) -> Path:
    """The database of the bot in `folder`: the same for the same folder, however it is named on the way."""
    place = str(folder.resolve())
    short = hashlib.sha256(place.encode()).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name) or "bot"
    return data_folder() / "bots" / f"{name}-{short}" / "agent.db"


def kept_database(folder: Path, database: Path | None) -> Path:
    """The database of the bot in `folder`, or the one that is named instead, if it is there.

    Raises:
        RecordNotFound: Nobody has talked to the bot yet.
    """
    path = database or database_of(folder)
    if not path.is_file():
        raise RecordNotFound(
            f"The bot has no database yet: there is no {path}.",
            hint=f"Talk to it first (agentkit chat {folder}), or name another file with --database.",
        )
    return path
