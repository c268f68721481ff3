"""agentkit: a local-first agent framework.

The public names load what they need on first use: `import agentkit` itself loads neither torch nor a
database.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentkit.agent import Agent, Limits, Reply, Settings
    from agentkit.bot import open_bot
    from agentkit.errors import AgentKitError, ToolFailed, ToolRetry
    from agentkit.events import Event
    from agentkit.messages import Message
    from agentkit.models import load_encoder, load_generator
    from agentkit.plugins import Registry
    from agentkit.tools import Authority, Content, MemoryService, Tool, ToolContext, memory_service, tool

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "AgentKitError",
    "Authority",
    "Content",
    "Event",
    "Limits",
    "MemoryService",
    "Message",
    "Registry",
    "Reply",
    "Settings",
    "Tool",
    "ToolContext",
    "ToolFailed",
    "ToolRetry",
    "load_encoder",
    "load_generator",
    "memory_service",
    "open_bot",
    "tool",
]

_HOMES: Final = {
    "Agent": "agentkit.agent",
    "AgentKitError": "agentkit.errors",
    "Authority": "agentkit.tools",
    "Content": "agentkit.tools",
    "Event": "agentkit.events",
    "Limits": "agentkit.agent",
    "MemoryService": "agentkit.tools",
    "Message": "agentkit.messages",
    "Registry": "agentkit.plugins",
    "Reply": "agentkit.agent",
    "Settings": "agentkit.agent",
    "Tool": "agentkit.tools",
    "ToolContext": "agentkit.tools",
    "ToolFailed": "agentkit.errors",
    "ToolRetry": "agentkit.errors",
    "load_encoder": "agentkit.models",
    "load_generator": "agentkit.models",
    "memory_service": "agentkit.tools",
    "open_bot": "agentkit.bot",
    "tool": "agentkit.tools",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'agentkit' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted([*__all__, "__version__"])
