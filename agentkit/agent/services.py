"""What tools may ask the agent for: memories and files of the user they act for, and documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agentkit.errors import RecordNotFound, ToolFailed
from agentkit.tools import KnowledgeHit, MemoryHit, StoredFile

if TYPE_CHECKING:
    from agentkit.agent.turn import Turn
    from agentkit.knowledge.index import KnowledgeIndex


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


class TurnKnowledge:
    """The knowledge service of one turn: the bot's documents."""

    def __init__(self, turn: Turn, knowledge: KnowledgeIndex) -> None:
        self._turn = turn
        self._knowledge = knowledge

    def search(self, query: str, limit: int) -> list[KnowledgeHit]:
        """The passages most similar to `query`, best first."""
        wiring = self._turn.wiring
        found = self._knowledge.search(wiring.encoder.encode([query])[0], query, limit)
        return [
            KnowledgeHit(each.document, each.heading, each.text, each.similarity)
            for each in found
            if each.similarity >= wiring.settings.passage_similarity
        ]


class TurnFiles:
    """The files of the user of one turn."""

    def __init__(self, turn: Turn) -> None:
        self._store = turn.store

    def save(self, content: bytes, name: str, media_type: str) -> str:
        """Keep a file; returns the SHA-256 of its content."""
        return self._store.save_file(content, name=name, media_type=media_type)

    def read(self, file_id: str) -> StoredFile:
        """The file with that hash."""
        try:
            record = self._store.file(file_id)
        except RecordNotFound:
            raise ToolFailed("there is no such file") from None
        return StoredFile(name=record.name, media_type=record.media_type, content=record.content)


def services_for(turn: Turn) -> Mapping[str, object]:
    """The services in the context of every tool call of a turn."""
    knowledge = turn.wiring.knowledge
    lent: dict[str, object] = {"memory": TurnMemory(turn), "files": TurnFiles(turn)}
    return lent if knowledge is None else lent | {"knowledge": TurnKnowledge(turn, knowledge)}
