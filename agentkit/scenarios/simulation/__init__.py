"""Simulated users of a bot, and what must hold whatever they say."""

from agentkit.scenarios.simulation.promises import Broken
from agentkit.scenarios.simulation.running import Simulated, Simulation, by_kind
from agentkit.scenarios.simulation.setting import SimulationSetting, load_setting

__all__ = ["Broken", "Simulated", "Simulation", "SimulationSetting", "by_kind", "load_setting"]
