"""Weight matrices as whole numbers, in the arrangement that the kernels read.

A matrix is kept in 4 bits where that loses nothing: weights that were unpacked from a 4-bit file lie on a grid, a scale
and an offset for every 32 of a row, and the grid is found again. All other matrices are kept in 8 bits with a scale per
row (Dettmers et al. 2022, arXiv 2208.07339, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from agentkit.models.machine_code import BLOCK_BYTES, GROUP, ROWS, Bits

_EXACT: Final = 0.005
"""Error of a whole matrix, relative to its norm, that counts as nothing: rounding to bfloat16 alone makes .0015."""
_ON_GRID: Final = 0.006
"""The same for one group of 32; groups above it have used fewer than 16 steps, and other numbers of steps are tried."""
_STEPS: Final = range(15, 6, -1)
_PROBE: Final = 64
"""Rows that are looked at first: most matrices that are not on a grid show it there."""
_ROWS_AT_ONCE: Final = 256
"""So that what is computed stays in the processor's cache."""
_SMALLEST: Final = 1e-12


@dataclass(frozen=True)
class Grid:
    """Groups of numbers as `step * number + offset`; number from 0 to 15.

    Args:
        numbers: uint8 [rows, groups, 32].
        step: float32 [rows, groups].
        offset: float32 [rows, groups].
        error: float32 [rows, groups]: squared error of the group.
    """

    numbers: torch.Tensor
    step: torch.Tensor
    offset: torch.Tensor
    error: torch.Tensor


@dataclass(frozen=True)
class PackedWeights:
    """A matrix for the kernels.

    Args:
        blocks: uint8 [outputs / 16, groups, bytes of a block]; outputs are filled up with zeros to a multiple of 16.
        row_scales: float32 [outputs].

    Raises:
        RuntimeError: The two do not belong together.
    """

    blocks: torch.Tensor
    row_scales: torch.Tensor

    def __post_init__(self) -> None:
        blocks, scales = self.blocks, self.row_scales
        tiles = -(-len(scales) // ROWS)
        if blocks.dtype != torch.uint8 or scales.dtype != torch.float32 or not blocks.is_contiguous():
            raise RuntimeError(f"packed weights of the formats {blocks.dtype} and {scales.dtype}")
        if (
            blocks.shape != (tiles, blocks.shape[1], blocks.shape[2])
            or blocks.shape[2] not in BLOCK_BYTES.values()
        ):
            raise RuntimeError(
                f"packed weights of the shapes {tuple(blocks.shape)} and {tuple(scales.shape)}"
            )

    @property
    def width(self) -> int:
        """How many inputs."""
        return GROUP * int(self.blocks.shape[1])

    @property
    def bits(self) -> Bits:
        """Of a weight."""
        return 4 if self.blocks.shape[2] == BLOCK_BYTES[4] else 8


def packed(weight: torch.Tensor) -> PackedWeights:
    """Pack a matrix: in 4 bits if they hold it exactly, else in 8.

    Args:
        weight: Floating point, [outputs, inputs]; inputs a multiple of 32.
    """
    outputs = len(weight)
    if missing := -outputs % ROWS:
        weight = torch.cat([weight, weight.new_zeros(missing, weight.shape[1])])
    blocks, scales = _in_four_bits(weight) or _in_eight_bits(weight)
    return PackedWeights(blocks, scales[:outputs])


def unpacked(weights: PackedWeights) -> torch.Tensor:
    """The matrix that the kernels multiply by: float32 [outputs, inputs]."""
    tiles, groups, _ = weights.blocks.shape
    outputs = len(weights.row_scales)
    scales = torch.zeros(tiles * ROWS)
    scales[:outputs] = weights.row_scales
    scales = scales.view(tiles, 1, ROWS, 1)
    if weights.bits == 8:
        numbers = weights.blocks.view(tiles, groups, GROUP // 4, ROWS, 4).transpose(2, 3).float() - 128
        values = numbers.reshape(tiles, groups, ROWS, GROUP) * scales
    else:
        halves = weights.blocks[:, :, :256].view(tiles, groups, GROUP // 8, ROWS, 4)
        numbers = torch.stack([halves & 15, halves >> 4], 2)  # [tiles, groups, 2, 4, rows, 4]
        numbers = numbers.permute(0, 1, 4, 2, 3, 5).reshape(tiles, groups, ROWS, GROUP).float()
        step, offset = weights.blocks[:, :, 256:].contiguous().view(torch.float16).float().chunk(2, -1)
        values = (numbers * step[..., None] + offset[..., None]) * scales
    return values.transpose(1, 2).reshape(tiles * ROWS, groups * GROUP)[:outputs]


def _in_eight_bits(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    blocks, scales = [], []
    for rows in torch.split(weight, _ROWS_AT_ONCE):
        values = rows.float()
        scale = (values.abs().amax(1) / 127).clamp_min_(_SMALLEST)
        numbers = (values / scale[:, None]).round_().add_(128).to(torch.uint8)
        tiles = numbers.view(-1, ROWS, numbers.shape[1] // GROUP, GROUP // 4, 4)
        blocks.append(tiles.permute(0, 2, 3, 1, 4).reshape(len(tiles), -1, BLOCK_BYTES[8]))
        scales.append(scale)
    return torch.cat(blocks), torch.cat(scales)


def _in_four_bits(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """None if they do not hold the matrix exactly."""
    if not _is_exact(weight[:: max(1, len(weight) // _PROBE)].float()):
        return None
    blocks, scales = [], []
    for rows in torch.split(weight, _ROWS_AT_ONCE):
        values = rows.float()
        grid = _grid(values)
        if not _small(grid.error, values):
            return None
        scale = grid.step.amax(1).clamp_min(_SMALLEST)  # so that float16 holds the steps of every row well
        blocks.append(_blocks(grid, scale))
        scales.append(scale)
    return torch.cat(blocks), torch.cat(scales)


def _is_exact(values: torch.Tensor) -> bool:
    return _small(_grid(values).error, values)


def _small(error: torch.Tensor, values: torch.Tensor) -> bool:
    return bool(error.sum() <= _EXACT**2 * values.square().sum())


def _grid(values: torch.Tensor) -> Grid:
    """The grid on which every group of 32 lies, or the nearest to it."""
    groups = values.view(len(values), -1, GROUP)
    best = _fitted(groups, _STEPS[0])
    norms = groups.square().sum(-1)
    for steps in _STEPS[1:]:
        off = best.error > _ON_GRID**2 * norms
        if not off.any():
            break
        other = _fitted(groups[off], steps)
        better = other.error < best.error[off]
        place = off.nonzero()[better].unbind(1)
        best.numbers[place], best.step[place] = other.numbers[better], other.step[better]
        best.offset[place], best.error[place] = other.offset[better], other.error[better]
    return best


def _fitted(groups: torch.Tensor, steps: int) -> Grid:
    """A grid of so many steps from the least to the largest number; then least squares, since both ends are rounded."""
    least = groups.amin(-1, keepdim=True)
    step = ((groups.amax(-1, keepdim=True) - least) / steps).clamp_min_(_SMALLEST)
    numbers = ((groups - least) / step).round_()
    centre, mean = numbers.mean(-1, keepdim=True), groups.mean(-1, keepdim=True)
    away = numbers - centre
    slope = (away * (groups - mean)).sum(-1, keepdim=True) / away.square().sum(-1, keepdim=True).clamp_min(
        1e-9
    )
    step = torch.where(slope > 0, slope, step)
    least = mean - step * centre
    error = (numbers * step + least - groups).square().sum(-1)
    return Grid(numbers.to(torch.uint8), step[..., 0], least[..., 0], error)


def _blocks(grid: Grid, scale: torch.Tensor) -> torch.Tensor:
    """uint8 [rows / 16, groups, bytes of a block]."""
    groups = grid.step.shape[1]
    numbers = grid.numbers.view(-1, ROWS, groups, 2, GROUP // 8, 4).permute(0, 2, 3, 4, 1, 5)
    halves = (numbers[:, :, 0] | numbers[:, :, 1] << 4).reshape(-1, groups, 256)
    floats = [
        (part / scale[:, None]).half().view(-1, ROWS, groups).transpose(1, 2).contiguous().view(torch.uint8)
        for part in (grid.step, grid.offset)
    ]
    return torch.cat([halves, *floats], -1)
