"""Answering from documents: passages found by meaning, checked for an answer, quoted with their source."""

from agentkit.knowledge.chunking import Chunk, chunk_markdown
from agentkit.knowledge.index import KnowledgeIndex

__all__ = ["Chunk", "KnowledgeIndex", "chunk_markdown"]
