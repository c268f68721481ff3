"""What a plugin is handed to say what it adds."""

from __future__ import annotations

from agentkit.errors import PluginError
from agentkit.tools import Tool


class Registry:
    """Collects what one plugin adds. The plugin's entry point is a function that takes it::

        def register(registry: Registry) -> None:
            registry.add_tool(track_parcel)

    Args:
        plugin: Name of the plugin, for messages.
    """

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self._tools: dict[str, Tool] = {}

    @property
    def tools(self) -> dict[str, Tool]:
        """The tools added so far by name, in the order in which they were added."""
        return dict(self._tools)

    def add_tool(self, tool: Tool) -> None:
        """Add a tool.

        Raises:
            PluginError: It is no tool, or the plugin has added one of this name already.
        """
        if not isinstance(tool, Tool):
            raise PluginError(
                f"plugin `{self._plugin}` adds {tool!r}, which is no tool",
                hint="decorate the function with @tool",
            )
        if other := self._tools.get(tool.name):
            raise PluginError(
                f"plugin `{self._plugin}` adds two tools called `{tool.name}`: "
                f"{other.origin} and {tool.origin}",
                hint='rename one with @tool(name="…")',
            )
        self._tools[tool.name] = tool
