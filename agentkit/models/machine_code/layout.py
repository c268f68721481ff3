"""How weights and jobs lie in memory: what the compiled kernels and those who call them agree on."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Instructions: TypeAlias = Literal["avx512bf16", "avx512vnni", "avxvnni", "avx2"]
"""What multiplies bytes; the first one multiplies bfloat16 as well."""
Before: TypeAlias = Literal["plain", "normed", "gated"]
"""What is done to the inputs of a product first."""
Bits: TypeAlias = Literal[4, 8]
"""Of a weight."""

ROWS: Final = 16
"""Outputs in a block."""
GROUP: Final = 32
"""Inputs in a block: those that share a scale."""
BLOCK_BYTES: Final[dict[Bits, int]] = {4: 320, 8: 512}
"""4 bits: 256 bytes of weights, 16 scales, 16 offsets (float16 each). 8 bits: weights only."""

TOGETHER: Final = 8
"""Tokens that lie together: all numbers of one group of theirs, then all of the next group."""

JOB: Final = ("body", "next", "total", "piece", "inputs", "whole", "scales", "width", "rows")
"""The first fields of a job, eight bytes each: the function, the piece that is taken next, how many there are, how many
are taken at once, and what both kinds of work know. `rows` is the number of tokens. For every 8 tokens, of which the
last may be fewer: `whole` is int8 [groups, 8, 32], `scales` float32 [groups, 2, 8], scales and then sums."""
QUANTISE_FIELDS: Final = ("weight", "epsilon")
MULTIPLY_FIELDS: Final = ("weights", "row_scales", "bias", "results", "outputs", "add")
FLOAT_FIELDS: Final = ("inputs", "weights", "bias", "results", "onto", "width", "rows", "outputs")
"""After the first four fields of a job. `inputs` float32 [rows, width]; `weights` float32 [outputs / 16, width, 16];
`bias` float32 [outputs]; `results` float32 [rows, outputs]; `onto` as well, or 0: what the products are added to."""
FLOAT_ATTEND_FIELDS: Final = ("inputs", "results", "tokens", "heads", "size", "scale")
"""After the first four fields of a job. `inputs` float32 [texts, tokens, 3 heads size]; `results` float32 [texts,
tokens, heads size]; `scale` the bits of what scores are multiplied by."""
MOST_KEYS: Final = 64
"""Tokens of a text at most; with more, torch is as quick."""
STEPS: Final = 4
"""Inputs that are multiplied in one turn: the width is a multiple of it."""
PANEL: Final = 48
"""Tokens whose inputs stay in a core's cache while all outputs are computed."""
ATTEND_FIELDS: Final = (
    "inputs",
    "queries",
    "cosine",
    "sine",
    "keys",
    "values",
    "mixed",
    "results",
    "tokens",
    "known",
    "heads",
    "groups",
    "size",
    "stride",
    "scale",
)
"""After the first four fields of a job. `inputs` float32 [tokens, heads + 2 groups, size]; `queries` and `mixed`
float32 [groups, tokens x heads / groups, size]; `cosine` and `sine` float32 [tokens, size / 2]; `keys` and `values`
bfloat16 [groups, stride], of which `known` positions of `size` numbers are there; `results` float32 [tokens, heads,
size]; `scale` the bits of what scores are multiplied by: weights are powers of 2."""
