"""From a message to commands: by its words, by the encoder, and by the generator where neither is sure."""

from agentkit.service.understanding.situation import Ask, Classify, Situation, Understood
from agentkit.service.understanding.understand import understand

__all__ = ["Ask", "Classify", "Situation", "Understood", "understand"]
