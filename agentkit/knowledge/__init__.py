"""Answering from documents: passages found by words and meaning, checked for an answer, quoted with their source."""

from agentkit.knowledge.chunking import Chunk, chunk_markdown
from agentkit.knowledge.index import KnowledgeChanges, KnowledgeIndex

__all__ = ["Chunk", "KnowledgeChanges", "KnowledgeIndex", "chunk_markdown"]
