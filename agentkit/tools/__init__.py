"""Tools: typed functions that an agent may call.

`@tool` makes one (`definition`), `validate_arguments` checks what a model wrote (`validation`),
`run_call` runs it and always has a result (`run`), toolsets group them (`toolsets`).
"""

from agentkit.tools.context import Authority, ToolContext
from agentkit.tools.definition import Tool, tool
from agentkit.tools.results import ResultLimits
from agentkit.tools.run import run_call
from agentkit.tools.services import MemoryHit, MemoryService, memory_service
from agentkit.tools.toolsets import Merged, StaticToolset, Toolset, get_tool
from agentkit.tools.validation import validate_arguments
from agentkit.tools.wrappers import Cached, DryRun, Filtered, Limited, Prefixed, Prepared, Renamed

__all__ = [
    "Authority",
    "Cached",
    "DryRun",
    "Filtered",
    "Limited",
    "MemoryHit",
    "MemoryService",
    "Merged",
    "Prefixed",
    "Prepared",
    "Renamed",
    "ResultLimits",
    "StaticToolset",
    "Tool",
    "ToolContext",
    "Toolset",
    "get_tool",
    "memory_service",
    "run_call",
    "tool",
    "validate_arguments",
]
