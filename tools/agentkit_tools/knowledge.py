"""Search in the documents that the bot answers from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agentkit import ToolContext, ToolFailed, knowledge_service, tool


@tool(effect="read")
def search_knowledge(
    context: ToolContext,
    query: Annotated[str, Field(min_length=1, max_length=500)],
    limit: Annotated[int, Field(ge=1, le=10)] = 3,
) -> list[dict[str, str]]:
    """Search the documents of this bot by meaning.

    Args:
        query: What to look for.
        limit: How many passages at most.
    """
    found = knowledge_service(context).search(query, limit)
    if not found:
        raise ToolFailed("the documents say nothing about that")
    return [{"document": hit.document, "heading": hit.heading, "text": hit.text} for hit in found]
