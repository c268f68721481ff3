"""The Model Context Protocol: other programs' tools for our bots, and our bots for other programs."""

from agentkit.remote.mcp.pins import Pins
from agentkit.remote.mcp.settings import McpSettings
from agentkit.remote.mcp.toolset import McpToolset

__all__ = ["McpSettings", "McpToolset", "Pins"]
