"""Matrix products with weights of 4 and 8 bits, and attention, as machine code that is made for the processor at hand.

Every token is computed by the same operations in the same order, however many come along, so that a row of a batch is
bit for bit what it is alone: guesses and other conversations change nothing.
"""

from agentkit.models.engine.kernels.compiled import Before, Kernels, attention_fits, instructions, kernels
from agentkit.models.engine.kernels.layout import BLOCK_BYTES, GROUP, ROWS, Bits, Instructions

__all__ = [
    "BLOCK_BYTES",
    "GROUP",
    "ROWS",
    "Before",
    "Bits",
    "Instructions",
    "Kernels",
    "attention_fits",
    "instructions",
    "kernels",
]
