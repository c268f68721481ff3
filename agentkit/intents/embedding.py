"""Vectors of many examples, with progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.models.progress import task

if TYPE_CHECKING:
    from agentkit.intents.examples import IntentExample
    from agentkit.intents.head import Floats
    from agentkit.models.progress import Progress
    from agentkit.models.protocols import Encoder

_BLOCK: Final = 256


def embed(encoder: Encoder, examples: Sequence[IntentExample], progress: Progress) -> Floats:
    """Unit vectors of the texts of examples, float32 [n, d], in their order."""
    # Sorted by length, so that a block holds little padding.
    order = sorted(range(len(examples)), key=lambda row: len(examples[row].text))
    vectors = numpy.zeros((len(examples), encoder.dimension), dtype=numpy.float32)
    with task(progress, "Embedding", len(examples), "messages"):
        for at in range(0, len(order), _BLOCK):
            block = order[at : at + _BLOCK]
            vectors[block] = encoder.encode([examples[row].text for row in block])
            progress.advance(len(block))
    return vectors
