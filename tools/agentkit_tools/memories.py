"""Notes, and search in what is remembered of the user. People and models wrote these texts: untrusted."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agentkit import Content, ToolContext, ToolRetry, memory_service, tool


@tool(effect="write", trusted=False)
def add_note(
    context: ToolContext, text: Annotated[str, Field(min_length=1, max_length=1000), Content()]
) -> dict[str, str]:
    """Note something that the user wants to be remembered in later conversations.

    Args:
        text: What to remember, as a sentence that is clear by itself.
    """
    note = text.strip()
    if not note:
        raise ToolRetry("say what to remember")
    memory_service(context).add(note)
    return {"noted": note}


@tool(effect="read", trusted=False)
def list_notes(context: ToolContext, limit: Annotated[int, Field(ge=1, le=50)] = 10) -> list[str]:
    """List what was noted for the user, newest first.

    Args:
        limit: How many at most.
    """
    return [hit.text for hit in memory_service(context).list(limit)]


@tool(effect="read", trusted=False)
def search_memory(
    context: ToolContext,
    query: Annotated[str, Field(min_length=1, max_length=500)],
    limit: Annotated[int, Field(ge=1, le=20)] = 5,
) -> list[str]:
    """Search earlier conversations and notes of the user by meaning.

    Args:
        query: What to look for.
        limit: How many at most.
    """
    return [hit.text for hit in memory_service(context).search(query, limit)]
