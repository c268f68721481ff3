"""What is remembered of a turn: the user's message, and what it states about the user or their case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.memory import extract_facts, worth_remembering
from agentkit.store.protocol import NewMemory

if TYPE_CHECKING:
    from agentkit.agent.route import Perception
    from agentkit.agent.turn import Turn


def memories_of(turn: Turn, seen: Perception | None) -> list[NewMemory]:
    """The new memories of a turn; none where it was interrupted before it was understood."""
    return []
