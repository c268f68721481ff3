"""The loop: perceive, choose a route, act through the gate, remember."""

from agentkit.agent.agent import Agent
from agentkit.agent.reply import Reply
from agentkit.agent.settings import Limits, Settings

__all__ = ["Agent", "Limits", "Reply", "Settings"]
