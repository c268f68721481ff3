"""Keys and values of the tokens that a model has seen: one growing buffer per running sequence."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import Final, Protocol

import torch

_FIRST_CAPACITY: Final = 256
_APART: Final = 1024 * 1024
"""Bytes from which on states lie outside of the heap. The system allows a process some 65,000 such pieces."""


class States(Protocol):
    """States of one sequence, seen from the engine."""

    @property
    def length(self) -> int:
        """Of how many tokens."""
        ...

    @property
    def divisible(self) -> bool:
        """Whether they can be cut and joined; if not, they are never shared between requests."""
        ...

    def reserve(self, length: int) -> None:
        """Make room for so many positions."""
        ...

    def truncate(self, length: int) -> None:
        """Forget everything after the first `length` positions; all of it, where the states are not divisible."""
        ...

    def segment(self, start: int, end: int) -> torch.Tensor:
        """A copy of the states from `start` to `end`: [layers, 2, heads, end - start, head_size]."""
        ...

    def append(self, segment: torch.Tensor) -> None:
        """Put a copy of a segment after what is there."""
        ...


class KeyValueStates:
    """States of one sequence. Positions beyond `length` hold nothing.

    Args:
        layers: Layers of the model.
        heads: Key-value heads of a layer.
        head_size: Numbers per head.
        dtype: Number format.
    """

    divisible = True

    def __init__(self, layers: int, heads: int, head_size: int, dtype: torch.dtype) -> None:
        self.length = 0
        # [layers, keys and values, heads, positions, head_size]
        self._buffer = own_pages((layers, 2, heads, _FIRST_CAPACITY, head_size), dtype)

    def reserve(self, length: int) -> None:
        """Make room for so many positions."""
        capacity = self._buffer.shape[3]
        if length > capacity:
            layers, two, heads, _, size = self._buffer.shape
            room = max(length, 2 * capacity)  # what is not written takes no memory
            larger = own_pages((layers, two, heads, room, size), self._buffer.dtype)
            larger[:, :, :, : self.length] = self._buffer[:, :, :, : self.length]
            self._buffer = larger

    def write(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the states of new tokens after `length` (which the caller moves on when all layers are done).

        Args:
            layer: Which layer.
            keys: [n, heads, head_size].
            values: The same.

        Returns:
            All keys and all values, each [heads, length + n, head_size].
        """
        end = self.length + len(keys)
        kept = self._buffer[layer]
        kept[0, :, self.length : end] = keys.transpose(0, 1)
        kept[1, :, self.length : end] = values.transpose(0, 1)
        return kept[0, :, :end], kept[1, :, :end]

    def of_layer(self, layer: int) -> torch.Tensor:
        """Keys and values of a layer, with the room behind them: [2, heads, room, head_size]."""
        return self._buffer[layer]

    def truncate(self, length: int) -> None:
        """Forget everything after the first `length` positions."""
        self.length = min(self.length, length)

    def segment(self, start: int, end: int) -> torch.Tensor:
        """A copy of the states from `start` to `end`: [layers, 2, heads, end - start, head_size]."""
        part = self._buffer[:, :, :, start:end]
        if part.nbytes < _APART:
            return part.clone()
        return own_pages(part.shape, part.dtype).copy_(part)

    def append(self, segment: torch.Tensor) -> None:
        """Put a copy of a segment after what is there."""
        end = self.length + segment.shape[3]
        self.reserve(end)
        self._buffer[:, :, :, self.length : end] = segment
        self.length = end


def own_pages(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """A tensor of zeros outside of the heap. What is never written takes no memory; all goes back when it is dropped.

    Args:
        shape: Its shape.
        dtype: Number format.
    """
    count = math.prod(shape)
    pages = mmap.mmap(-1, count * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return torch.frombuffer(pages, dtype=dtype).view(tuple(shape))
