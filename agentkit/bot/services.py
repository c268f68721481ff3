"""`agentkit tools import`: an HTTP service for a bot that exists."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from agentkit.bot.config import CONFIG_FILE, load_config
from agentkit.errors import ConfigurationError


def add_service(bot: Path, name: str, values: Mapping[str, Any], description: Path) -> None:
    """Copy a description into a bot folder and name the service in `agent.yaml`, at its end.

    Args:
        bot: The bot folder.
        name: What the bot calls the service.
        values: Its settings; the name of the file is set here.
        description: The OpenAPI file.

    Raises:
        ConfigurationError: The bot has such a service, or services that a person has to add to.
    """
    config = load_config(bot)
    copy = bot / f"{name}.openapi{description.suffix}"
    block = yaml.safe_dump(
        {"services": {name: {**values, "openapi": copy.name}}}, sort_keys=False, allow_unicode=True
    )
    if config.services:
        raise ConfigurationError(
            f"{bot / CONFIG_FILE} has services already; nothing was written.",
            hint=f"Copy the file to {copy} and add this under `services:`\n" + block.partition("\n")[2],
        )
    if copy.exists() and copy.resolve() != description.resolve():
        raise ConfigurationError(f"{copy} exists; nothing was written.", hint="Choose another --name.")
    if copy.resolve() != description.resolve():
        shutil.copyfile(description, copy)
    file = bot / CONFIG_FILE
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text.rstrip()}\n\n# Made from {description.name}\n{block}", encoding="utf-8")
