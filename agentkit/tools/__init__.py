"""Tools: typed functions that an agent may call.

`@tool` makes one (`definition`), `validate_arguments` checks what a model wrote (`validation`),
`run_call` runs it and always has a result (`run`), toolsets group them (`toolsets`).
"""

from agentkit.tools.attachments import FILE_KEY, FileResult, Table
from agentkit.tools.context import Authority, Content, ToolContext
from agentkit.tools.definition import ApprovalRule, Tool, tool
from agentkit.tools.handles import is_opaque, issue_handles, issued_handles, resolved, with_ids
from agentkit.tools.isolation import Isolation
from agentkit.tools.results import ResultLimits
from agentkit.tools.run import CallToRun, Progress, Starting, run_call, run_calls
from agentkit.tools.services import (
    FileService,
    KnowledgeHit,
    KnowledgeService,
    MemoryHit,
    MemoryService,
    StoredFile,
    file_service,
    knowledge_service,
    memory_service,
)
from agentkit.tools.toolsets import Merged, StaticToolset, Toolset, get_tool
from agentkit.tools.validation import validate_arguments
from agentkit.tools.wrappers import Approved, Cached, DryRun, Filtered, Limited, Prefixed, Prepared, Renamed

__all__ = [
    "FILE_KEY",
    "ApprovalRule",
    "Approved",
    "Authority",
    "Cached",
    "CallToRun",
    "Content",
    "DryRun",
    "FileResult",
    "FileService",
    "Filtered",
    "Isolation",
    "KnowledgeHit",
    "KnowledgeService",
    "Limited",
    "MemoryHit",
    "MemoryService",
    "Merged",
    "Prefixed",
    "Prepared",
    "Progress",
    "Renamed",
    "ResultLimits",
    "Starting",
    "StaticToolset",
    "StoredFile",
    "Table",
    "Tool",
    "ToolContext",
    "Toolset",
    "file_service",
    "get_tool",
    "is_opaque",
    "issue_handles",
    "issued_handles",
    "knowledge_service",
    "memory_service",
    "resolved",
    "run_call",
    "run_calls",
    "tool",
    "validate_arguments",
    "with_ids",
]
