"""A plugin for agentkit: says how many words a text has and how long it takes to read."""

from agentkit import Registry
from my_tool.tools import my_tool


def register(registry: Registry) -> None:
    """Add the tools of this plugin. The entry point in `pyproject.toml` leads here."""
    registry.add_tool(my_tool)
