"""Plugins: installed packages that add tools through the entry point group `agentkit.plugins`."""

from agentkit.plugins.discovery import GROUP, BrokenPlugin, LoadedPlugin, PluginReport, load_plugins
from agentkit.plugins.foreign_code import naming_failures
from agentkit.plugins.new import new_plugin
from agentkit.plugins.registry import Registry

__all__ = [
    "GROUP",
    "BrokenPlugin",
    "LoadedPlugin",
    "PluginReport",
    "Registry",
    "load_plugins",
    "naming_failures",
    "new_plugin",
]
