"""From a message to the vector that the head reads: blocks side by side, each of length 1 times its weight.

encoder's vector [d] | lexical vector [512], if it helps | tuned encoder's vector [d], if there is one
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy

from agentkit.intents.lexical import Lexicon

if TYPE_CHECKING:
    from agentkit.intents.head import Floats
    from agentkit.models.tuned_encoder import TunedEncoder


@dataclass(frozen=True, eq=False)
class Features:
    """How a message becomes a vector.

    Args:
        lexicon: Rarity of n-grams; None: the head does not read letters.
        lexical_weight: Length of the lexical block.
        tuned: The encoder that was tuned for these intents; None: there is none.
    """

    lexicon: Lexicon | None = None
    lexical_weight: float = 0.0
    tuned: TunedEncoder | None = None

    def read(self, texts: Sequence[str], vectors: Floats) -> tuple[Floats, Floats]:
        """What the head reads, and the space in which messages are compared with examples.

        Args:
            texts: The messages.
            vectors: float32 [n, d], unit vectors of the bot's encoder.

        Returns:
            float32 [n, width] and float32 [n, d]: unit vectors of the tuned encoder, if there is one.
        """
        blocks, space = [vectors], vectors
        if self.lexicon is not None:
            blocks.append(self.lexicon.encode(texts) * numpy.float32(self.lexical_weight))
        if self.tuned is not None:
            space = self.tuned.encode(texts)
            blocks.append(space)
        return (numpy.hstack(blocks) if len(blocks) > 1 else vectors), space
