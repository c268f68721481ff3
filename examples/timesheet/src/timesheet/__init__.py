"""Working hours: written down, added up, removed again."""

from agentkit import Registry
from timesheet.tools import list_hours, log_hours, remove_hours


def register(registry: Registry) -> None:
    """Add the tools of this plugin."""
    for tool in (log_hours, list_hours, remove_hours):
        registry.add_tool(tool)
