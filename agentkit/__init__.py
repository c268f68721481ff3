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
    from agentkit.messages import Message, text_of
    from agentkit.models import load_encoder, load_generator
    from agentkit.plugins import Registry
    from agentkit.remote import HttpAccess
    from agentkit.tools import (
        Approved,
        Authority,
        Cached,
        Content,
        DryRun,
        Filtered,
        KnowledgeService,
        Limited,
        MemoryService,
        Merged,
        Prefixed,
        Prepared,
        Renamed,
        StaticToolset,
        Tool,
        ToolContext,
        Toolset,
        knowledge_service,
        memory_service,
        tool,
    )

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "AgentKitError",
    "Approved",
    "Authority",
    "Cached",
    "Content",
    "DryRun",
    "Event",
    "Filtered",
    "HttpAccess",
    "KnowledgeService",
    "Limited",
    "Limits",
    "MemoryService",
    "Merged",
    "Message",
    "Prefixed",
    "Prepared",
    "Registry",
    "Renamed",
    "Reply",
    "Settings",
    "StaticToolset",
    "Tool",
    "ToolContext",
    "ToolFailed",
    "ToolRetry",
    "Toolset",
    "knowledge_service",
    "load_encoder",
    "load_generator",
    "memory_service",
    "open_bot",
    "text_of",
    "tool",
]

_HOMES: Final = {
    "Agent": "agentkit.agent",
    "AgentKitError": "agentkit.errors",
    "Approved": "agentkit.tools",
    "Authority": "agentkit.tools",
    "Cached": "agentkit.tools",
    "Content": "agentkit.tools",
    "DryRun": "agentkit.tools",
    "Event": "agentkit.events",
    "Filtered": "agentkit.tools",
    "HttpAccess": "agentkit.remote",
    "KnowledgeService": "agentkit.tools",
    "Limited": "agentkit.tools",
    "Limits": "agentkit.agent",
    "MemoryService": "agentkit.tools",
    "Merged": "agentkit.tools",
    "Message": "agentkit.messages",
    "Prefixed": "agentkit.tools",
    "Prepared": "agentkit.tools",
    "Registry": "agentkit.plugins",
    "Renamed": "agentkit.tools",
    "Reply": "agentkit.agent",
    "Settings": "agentkit.agent",
    "StaticToolset": "agentkit.tools",
    "Tool": "agentkit.tools",
    "ToolContext": "agentkit.tools",
    "ToolFailed": "agentkit.errors",
    "ToolRetry": "agentkit.errors",
    "Toolset": "agentkit.tools",
    "knowledge_service": "agentkit.tools",
    "load_encoder": "agentkit.models",
    "load_generator": "agentkit.models",
    "memory_service": "agentkit.tools",
    "open_bot": "agentkit.bot",
    "text_of": "agentkit.messages",
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
