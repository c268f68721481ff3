"""What an agent lends to tools through `ToolContext.services`, as protocols: a test needs no agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from agentkit.errors import ToolFailed
from agentkit.tools.context import ToolContext


@dataclass(frozen=True)
class MemoryHit:
    """One memory of the user.

    Args:
        id: Its id in the store.
        text: What was remembered.
        similarity: Cosine similarity to the query, 1.0 where nothing was searched for.
    """

    id: str
    text: str
    similarity: float


@runtime_checkable
class MemoryService(Protocol):
    """The memories of the user of the present call: bound to that user, so no tool can name another one."""

    def add(self, text: str) -> str:
        """Remember a text as a fact; returns its id."""
        ...

    def search(self, query: str, limit: int) -> Sequence[MemoryHit]:
        """At most `limit` memories nearest in meaning to `query`, best first."""
        ...

    def list(self, limit: int) -> Sequence[MemoryHit]:
        """At most `limit` of the newest facts, newest first."""
        ...


@dataclass(frozen=True)
class StoredFile:
    """A file that the agent keeps for the user of a call."""

    name: str
    media_type: str
    content: bytes


@runtime_checkable
class FileService(Protocol):
    """The files of the user of the present call, named by the SHA-256 of their content."""

    def save(self, content: bytes, name: str, media_type: str) -> str:
        """Keep a file; returns its name here. The same content is kept once."""
        ...

    def read(self, file_id: str) -> StoredFile:
        """The file of that name.

        Raises:
            ToolFailed: This user has none.
        """
        ...


def file_service(context: ToolContext) -> FileService:
    """The file service of a call.

    Raises:
        ToolFailed: The agent keeps no files.
    """
    service = context.services.get("files")
    if not isinstance(service, FileService):
        raise ToolFailed("this agent keeps no files")
    return service


def memory_service(context: ToolContext) -> MemoryService:
    """The memory service of a call.

    Raises:
        ToolFailed: The agent lends none.
    """
    service = context.services.get("memory")
    if not isinstance(service, MemoryService):
        raise ToolFailed("this agent has no memory")
    return service


@dataclass(frozen=True)
class KnowledgeHit:
    """One passage of the bot's documents.

    Args:
        document: The file that it is from.
        heading: The headings above it.
        text: The passage.
        similarity: Cosine similarity to the query.
    """

    document: str
    heading: str
    text: str
    similarity: float


@runtime_checkable
class KnowledgeService(Protocol):
    """The documents that the bot answers from."""

    def search(self, query: str, limit: int) -> Sequence[KnowledgeHit]:
        """At most `limit` passages nearest in meaning to `query`, best first."""
        ...


def knowledge_service(context: ToolContext) -> KnowledgeService:
    """The knowledge service of a call.

    Raises:
        ToolFailed: The agent lends none.
    """
    service = context.services.get("knowledge")
    if not isinstance(service, KnowledgeService):
        raise ToolFailed("this agent has no documents")
    return service
