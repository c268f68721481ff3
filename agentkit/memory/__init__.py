"""Memory: what a user said is found again by meaning, in other conversations of the same user."""

from agentkit.memory.extraction import statements, worth_remembering
from agentkit.memory.recall import Recall, RecallPool
from agentkit.memory.remembering import memories_of

__all__ = ["Recall", "RecallPool", "memories_of", "statements", "worth_remembering"]
