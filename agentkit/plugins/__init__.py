"""Plugins: installed packages that add tools through the entry point group `agentkit.plugins`."""

from agentkit.plugins.discovery import GROUP, BrokenPlugin, PluginReport, load_plugins
from agentkit.plugins.foreign_code import naming_failures
from agentkit.plugins.registry import Registry

__all__ = ["GROUP", "BrokenPlugin", "PluginReport", "Registry", "load_plugins", "naming_failures"]
