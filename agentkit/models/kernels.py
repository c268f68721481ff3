"""Matrix products and attention of our own machine code, on tensors.

The threads are those that torch computes with anyway: two pools of threads on the same cores would wait for each other.
Where torch's OpenMP is not GNU's (Linux), one thread does it all.
"""

from __future__ import annotations

import ctypes
import functools
import math
import struct
from collections.abc import Sequence
from typing import Final

import torch

from agentkit.models.machine_code import (
    ATTEND_FIELDS,
    GROUP,
    JOB,
    LARGEST_HEAD,
    MOST_KEYS,
    MULTIPLY_FIELDS,
    PANEL,
    PART,
    ROWS,
    STEPS,
    TOGETHER,
    Before,
    Bits,
    Instructions,
    MachineCode,
    instructions,
    machine_code,
)

_PIECES: Final = 4
"""Blocks of 16 outputs that a thread takes at once: some tens of microseconds of work."""
_ALONE: Final = 4
"""So few tokens are quantised by one thread: waking another one takes longer."""
_LITTLE: Final = 1 << 18
"""Multiplications that one thread does sooner than two agree on them."""


class Kernels:
    """What the machine code does, with tensors.

    Args:
        instructions: What it multiplies bytes with.
    """

    def __init__(self, instructions: Instructions) -> None:
        self._code = machine_code(instructions)

    def quantised(
        self, weights: torch.Tensor, row_scales: torch.Tensor, bias: torch.Tensor, bits: Bits
    ) -> QuantisedProduct:
        """The product with quantised weights; arguments as those of `QuantisedProduct`."""
        return QuantisedProduct(self._code, weights, row_scales, bias, bits)

    def product_of_floats(
        self, inputs: torch.Tensor, blocks: torch.Tensor, bias: torch.Tensor, onto: torch.Tensor | None = None
    ) -> torch.Tensor:
        """One product in float32.

        Args:
            inputs: float32 [n, width], contiguous.
            blocks: Weights, as `float_blocks` lays them out.
            bias: float32 [outputs].
            onto: float32 [n, outputs]; the result is added to it.

        Returns:
            float32 [n, outputs]; rows are the same in any batch.

        Raises:
            RuntimeError: The shapes do not fit together.
        """
        rows, (count, width, _) = inputs.shape[0], blocks.shape
        outputs = ROWS * count
        _check_each((inputs, (rows, width)), (bias, (outputs,)), (onto, (rows, outputs)))
        results = torch.empty(rows, outputs)
        places = (inputs.data_ptr(), blocks.data_ptr(), bias.data_ptr(), results.data_ptr())
        added = 0 if onto is None else onto.data_ptr()
        pieces = -(-rows // PANEL) * count
        fields = (self._code.multiply_floats, 0, pieces, _PIECES, *places, added, width, rows, outputs)
        threads = torch.get_num_threads() if self._code.parallel else 1
        self._start(fields, 1 if rows * width * outputs <= _LITTLE else threads)
        return results

    def attention_of_floats(self, projected: torch.Tensor, texts: int, heads: int) -> torch.Tensor:
        """Attention within texts of the same length: every token looks at all of its text.

        Args:
            projected: float32 [texts * tokens, 3 heads * size], contiguous: queries, keys and values.
            texts: How many there are.
            heads: Of each.

        Returns:
            float32 [texts * tokens, heads * size].

        Raises:
            RuntimeError: The shapes do not fit together, or `float_attention_fits` does not hold.
        """
        rows, width = projected.shape
        tokens, size = rows // texts, width // (3 * heads)
        _check(projected, (texts * tokens, 3 * heads * size))
        if not float_attention_fits(tokens, size):
            raise RuntimeError(f"attention over {tokens} tokens in heads of {size} numbers")
        results = torch.empty(rows, heads * size)
        places = (projected.data_ptr(), results.data_ptr(), tokens, heads, size, _bits(size**-0.5))
        threads = torch.get_num_threads() if self._code.parallel else 1
        work = texts * heads * tokens * tokens * size
        self._start(
            (self._code.attend_floats, 0, texts * heads, 1, *places), 1 if work <= _LITTLE else threads
        )
        return results

    def attention(
        self,
        projected: torch.Tensor,
        kept: torch.Tensor,
        known: int,
        *,
        heads: int,
        rotation: tuple[torch.Tensor, torch.Tensor],
        results: torch.Tensor,
    ) -> None:
        """Attention of the new tokens of one sequence, over all that came before them and over themselves.

        Args:
            projected: float32 [n, heads + 2 groups, size], contiguous: queries, keys, values before they are rotated.
            kept: bfloat16 [2, groups, room, size], contiguous: keys and values; those of the new tokens are put there.
            known: How many positions of it hold something.
            heads: Query heads.
            rotation: Cosine and sine, float32 [n, size / 2] each, contiguous.
            results: float32 [n, heads * size], contiguous; written.

        Raises:
            RuntimeError: The shapes do not fit together.
        """
        two, groups, room, size = kept.shape
        tokens, shared = projected.shape[0], heads // groups
        if two != 2 or kept.dtype != torch.bfloat16 or not kept.is_contiguous() or known + tokens > room:
            raise RuntimeError(f"{known + tokens} states do not fit into {tuple(kept.shape)} of {kept.dtype}")
        if heads % groups or not attention_fits(size):
            raise RuntimeError(f"{heads} heads of {size} numbers for {groups} groups")
        _check_each(
            (projected, (tokens, heads + 2 * groups, size)),
            (rotation[0], (tokens, size // 2)),
            (rotation[1], (tokens, size // 2)),
            (results, (tokens, heads * size)),
        )
        scratch = torch.empty(2, heads * tokens, size)  # queries, and what they have gathered so far
        keys = kept.data_ptr()
        fields = (
            projected.data_ptr(),
            scratch.data_ptr(),
            rotation[0].data_ptr(),
            rotation[1].data_ptr(),
            keys,
            keys + 2 * groups * room * size,
            scratch.data_ptr() + 4 * heads * tokens * size,
            results.data_ptr(),
            *(tokens, known, heads, groups, size, room * size),
            _bits(size**-0.5 / math.log(2)),  # e^x is 2^(x / log 2)
        )
        threads = torch.get_num_threads() if self._code.parallel else 1
        self._start((self._code.turn, 0, tokens, 1, *fields), 1 if tokens <= _ALONE else threads)
        parts = groups * -(-tokens * shared // PART)
        self._start((self._code.attend, 0, parts, 1, *fields), threads)

    def _start(self, fields: tuple[int, ...], threads: int) -> None:
        self._code.run(_Job(*fields), threads)


class QuantisedProduct:
    """y = x W^T + b with quantised weights. What does not change is looked at once: a small model has 120 products.

    Args:
        code: The machine code.
        weights: uint8 [outputs / 16, width / 32, bytes of a block], contiguous.
        row_scales: float32 [outputs].
        bias: float32 [outputs].
        bits: Of a weight.

    Raises:
        RuntimeError: The shapes do not fit together.
    """

    def __init__(
        self,
        code: MachineCode,
        weights: torch.Tensor,
        row_scales: torch.Tensor,
        bias: torch.Tensor,
        bits: Bits,
    ) -> None:
        self._code = code
        self._held = weights, row_scales, bias  # what the addresses below point to
        self._groups = weights.shape[1]
        self.width = GROUP * self._groups
        self.outputs = ROWS * weights.shape[0]
        _check_each((row_scales, (self.outputs,)), (bias, (self.outputs,)))
        self._body = code.multiply[bits]
        self._places = weights.data_ptr(), row_scales.data_ptr(), bias.data_ptr()

    def __call__(
        self,
        inputs: torch.Tensor,
        before: Before = "plain",
        *,
        norm: tuple[torch.Tensor, float] | None = None,
        onto: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """One product.

        Args:
            inputs: float32 [n, width], contiguous; [n, 2 width] if gated: gates, then values.
            before: What is done to the inputs first.
            norm: Weight, float32 [width], and epsilon, for `normed`.
            onto: float32 [n, outputs]; the result is added to it in place.

        Returns:
            float32 [n, outputs]; `onto` if that was given.

        Raises:
            RuntimeError: The shapes do not fit together.
        """
        code, width, outputs, rows = self._code, self.width, self.outputs, inputs.shape[0]
        _check(inputs, (rows, 2 * width if before == "gated" else width))
        weight, epsilon = 0, 0
        if norm is not None:
            _check(norm[0], (width,))
            weight, epsilon = norm[0].data_ptr(), _bits(norm[1])
        if onto is None:
            results = torch.empty(rows, outputs)
        else:
            _check(onto, (rows, outputs))
            results = onto
        blocks = -(-rows // TOGETHER) * self._groups
        scratch = torch.empty(blocks * _SCRATCH, dtype=torch.uint8)
        whole = scratch.data_ptr()
        known = (inputs.data_ptr(), whole, whole + blocks * _WHOLE, width, rows)
        threads = torch.get_num_threads() if code.parallel else 1
        quantise = _Job(code.quantise[before], 0, rows, 1, *known, weight, epsilon)
        code.run(quantise, 1 if rows <= _ALONE else threads)
        places = (*self._places, results.data_ptr(), outputs, onto is not None)
        multiply = _Job(self._body, 0, outputs // ROWS, _PIECES, *known, *places)
        code.run(multiply, 1 if rows * width * outputs <= _LITTLE else threads)
        return results


_FIELDS: Final = max(len(JOB) + len(MULTIPLY_FIELDS), 4 + len(ATTEND_FIELDS))  # of the longest job
_Job: Final = ctypes.c_int64 * _FIELDS
_WHOLE: Final = TOGETHER * GROUP
"""Bytes of the numbers of one group of tokens that lie together, and, with their scales and sums, of all."""
_SCRATCH: Final = _WHOLE + 2 * 4 * TOGETHER


def float_attention_fits(tokens: int, size: int) -> bool:
    """Whether `attention_of_floats` can work on so many tokens and heads of such a size."""
    return 1 <= tokens <= MOST_KEYS and size > 0 and size % 16 == 0


def takes_floats(shape: Sequence[int]) -> bool:
    """Whether `product_of_floats` can work with weights of this shape, [outputs, width]."""
    return shape[0] % ROWS == 0 and shape[1] % STEPS == 0


def float_blocks(weight: torch.Tensor) -> torch.Tensor:
    """Weights [outputs, width] as they are read: float32 [outputs / 16, width, 16]."""
    return weight.float().reshape(-1, ROWS, weight.shape[1]).transpose(1, 2).contiguous()


def float_matrix(blocks: torch.Tensor) -> torch.Tensor:
    """The weights that `float_blocks` laid out, [outputs, width]."""
    return blocks.transpose(1, 2).reshape(-1, blocks.shape[1]).contiguous()


def attention_fits(size: int) -> bool:
    """Whether the kernel of attention can work on heads of so many numbers."""
    return size % GROUP == 0 and size <= LARGEST_HEAD


@functools.cache
def kernels() -> Kernels | None:
    """The kernels of this process; None where the processor or the installation has none."""
    chosen = instructions()
    return Kernels(chosen) if chosen else None


def _check_each(*expected: tuple[torch.Tensor | None, tuple[int, ...]]) -> None:
    for tensor, shape in expected:
        if tensor is not None:
            _check(tensor, shape)


def _check(tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Compiled code reads what it is given as if it were of this shape."""
    if tensor.shape != shape or tensor.dtype != torch.float32 or not tensor.is_contiguous():
        raise RuntimeError(
            f"a tensor {tuple(tensor.shape)} of {tensor.dtype} where {shape} of float32 is needed"
        )


@functools.cache
def _bits(number: float) -> int:
    """A float32 as the whole number with the same bits."""
    (bits,) = struct.unpack("<I", struct.pack("<f", number))
    return int(bits)
