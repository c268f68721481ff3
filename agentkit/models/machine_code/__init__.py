"""Matrix products with weights of 4, 8 and 32 bits, and attention, as machine code made for the processor at hand.

Every token is computed by the same operations in the same order, however many come along, so that a row of a batch is
bit for bit what it is alone: guesses and other conversations change nothing. Nothing here needs torch, so that the code
can be made while torch is imported.
"""

from agentkit.models.machine_code.attend import LARGEST_HEAD, PART
from agentkit.models.machine_code.code import MachineCode, compile_early, instructions, machine_code
from agentkit.models.machine_code.layout import (
    ATTEND_FIELDS,
    BLOCK_BYTES,
    FLOAT_ATTEND_FIELDS,
    FLOAT_FIELDS,
    GROUP,
    JOB,
    MOST_KEYS,
    MULTIPLY_FIELDS,
    PANEL,
    ROWS,
    STEPS,
    TOGETHER,
    Before,
    Bits,
    Instructions,
)

__all__ = [
    "ATTEND_FIELDS",
    "BLOCK_BYTES",
    "FLOAT_ATTEND_FIELDS",
    "FLOAT_FIELDS",
    "GROUP",
    "JOB",
    "LARGEST_HEAD",
    "MOST_KEYS",
    "MULTIPLY_FIELDS",
    "PANEL",
    "PART",
    "ROWS",
    "STEPS",
    "TOGETHER",
    "Before",
    "Bits",
    "Instructions",
    "MachineCode",
    "compile_early",
    "instructions",
    "machine_code",
]
