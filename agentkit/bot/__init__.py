"""A bot: a folder with `agent.yaml` that the commands run."""

from agentkit.bot.config import BotConfig, load_config
from agentkit.bot.load import Bot, open_bot
from agentkit.bot.new import new_bot

__all__ = [
    "Bot",
    "BotConfig",
    "load_config",
    "new_bot",
    "open_bot",
]
