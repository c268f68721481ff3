"""A bot: a folder with `agent.yaml` that the commands run."""

from agentkit.bot.config import BotConfig, load_config
from agentkit.bot.load import Bot, open_bot
from agentkit.bot.new import new_bot
from agentkit.bot.scenario import Scenario, load_scenario, play, scenario_path

__all__ = [
    "Bot",
    "BotConfig",
    "Scenario",
    "load_config",
    "load_scenario",
    "new_bot",
    "open_bot",
    "play",
    "scenario_path",
]
