"""The loop: perceive, choose a route, act through the gate, remember."""

from agentkit.agent.agent import Agent
from agentkit.agent.approval_desk import ApprovalDesk
from agentkit.agent.reply import Reply, fold
from agentkit.agent.settings import Limits, Settings

__all__ = ["Agent", "ApprovalDesk", "Limits", "Reply", "Settings", "fold"]
