"""The entry point of the group `agentkit.plugins`."""

from __future__ import annotations

from agentkit import Registry
from agentkit_tools.calculator import calculate
from agentkit_tools.clock import current_time
from agentkit_tools.knowledge import search_knowledge
from agentkit_tools.memories import add_note, list_notes, search_memory


def register(registry: Registry) -> None:
    """Add the tools of this package."""
    for tool in (current_time, calculate, add_note, list_notes, search_memory, search_knowledge):
        registry.add_tool(tool)
