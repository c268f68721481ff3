"""What tools may ask the agent for: search in and add to the memories of the user they act for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agentkit.tools import MemoryHit

if TYPE_CHECKING:
    from agentkit.agent.turn import Turn


class TurnMemory:
    """The memory service of one turn: bound to its user, so no tool can name another one."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def add(self, text: str) -> str:
        """Remember a text as a fact and return its id."""
        # A model wrote it, perhaps from text of unknown origin.
        return self._turn.recall.remember(text, trust="untrusted", turn_id=self._turn.turn_id)

    def search(self, query: str, limit: int) -> list[MemoryHit]:
        """The user's memories most similar to `query`, best first."""
        found = self._turn.recall.search(query, limit=limit, min_similarity=0.2)
        return [MemoryHit(id=each.memory_id, text=each.text, similarity=each.similarity) for each in found]

    def list(self, limit: int) -> list[MemoryHit]:
        """The user's newest facts, newest first."""
        records = self._turn.store.memories("fact")[::-1][:limit]
        return [MemoryHit(id=record.id, text=record.text, similarity=1.0) for record in records]


def services_for(turn: Turn) -> Mapping[str, object]:
    """The services in the context of every tool call of a turn."""
    return {"memory": TurnMemory(turn)}
