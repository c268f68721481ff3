"""Attention: every new token looks at its own sequence, and at nothing of the others.

In torch for any number format, or in a kernel of our own where the products run in such as well: with few rows torch's
calls take longer than what they compute.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import torch
import torch.nn.functional as F

from agentkit.models.engine.shape import Shape
from agentkit.models.engine.states import KeyValueStates
from agentkit.models.kernels import Kernels

New: TypeAlias = Sequence[tuple[KeyValueStates, int]]
"""The sequences of a pass: what is known of each, and how many tokens are new."""
OfPass: TypeAlias = Callable[[int, torch.Tensor], torch.Tensor]
"""Attention of one pass in the layer of that index: queries, keys and values of all new tokens, [n, (heads + 2
key_value_heads) * head_size], to [n, heads * head_size]. The states get the new keys and values."""


class Attention(Protocol):
    """How tokens look at what came before them."""

    def of_pass(self, new: New) -> OfPass:
        """What all layers of a pass share is computed once; room for the new tokens is there."""
        ...


class TorchAttention:
    """In torch.

    Args:
        shape: Of the model.
        compute: Number format between the products.
        kept: Number format of the states.
    """

    def __init__(self, shape: Shape, compute: torch.dtype, kept: torch.dtype) -> None:
        self._shape = shape
        self._compute = compute
        self._kept = kept

    def of_pass(self, new: New) -> OfPass:
        """See `Attention`."""
        cosine, sine = (part[:, None] for part in rotation(self._shape, new))  # [n, 1, head_size / 2]
        masks = [self._mask(states.length, count) for states, count in new]
        turned = self._shape.heads + self._shape.key_value_heads

        def attend(index: int, projected: torch.Tensor) -> torch.Tensor:
            split = projected.view(len(projected), -1, self._shape.head_size)
            low, high = split[:, :turned].float().chunk(2, -1)
            rotated = torch.cat([low * cosine - high * sine, high * cosine + low * sine], -1).to(self._kept)
            values = split[:, turned:].to(self._kept)
            seen, start = [], 0
            for (states, count), mask in zip(new, masks, strict=True):
                of_sequence = slice(start, start + count)
                queries, keys = rotated[of_sequence].tensor_split([self._shape.heads], 1)
                all_keys, all_values = states.write(index, keys, values[of_sequence])
                seen.append(_attended(queries, all_keys, all_values, mask))
                start += count
            return (seen[0] if len(seen) == 1 else torch.cat(seen)).to(self._compute)

        return attend

    def _mask(self, known: int, new: int) -> torch.Tensor | None:
        """Which positions the new tokens see, once for each query head that shares their keys and values: bool
        [heads / key_value_heads * n, known + n]; None where the only new token sees all."""
        if new == 1:
            return None
        seen = torch.ones(new, known + new, dtype=torch.bool).tril_(known)
        return seen.repeat(self._shape.heads // self._shape.key_value_heads, 1)


class CompiledAttention:
    """In a kernel: float32 on states that are kept in bfloat16. A row is bit for bit the same in any batch.

    Args:
        shape: Of the model.
        kernels: Of this processor.
    """

    def __init__(self, shape: Shape, kernels: Kernels) -> None:
        self._shape = shape
        self._kernels = kernels

    def of_pass(self, new: New) -> OfPass:
        """See `Attention`."""
        shape = self._shape
        cosine, sine = rotation(shape, new)
        results = torch.empty(len(cosine), shape.heads * shape.head_size)

        ends = list(itertools.accumulate(count for _, count in new))
        parts = [slice(end - count, end) for end, (_, count) in zip(ends, new, strict=True)]
        turns = [(cosine[part], sine[part]) for part in parts]
        places = [results[part] for part in parts]

        def attend(index: int, projected: torch.Tensor) -> torch.Tensor:
            split = projected.view(projected.shape[0], -1, shape.head_size)
            for (states, _), part, turn, place in zip(new, parts, turns, places, strict=True):
                self._kernels.attention(
                    split[part],
                    states.of_layer(index),
                    states.length,
                    heads=shape.heads,
                    rotation=turn,
                    results=place,
                )
            return results

        return attend


def rotation(shape: Shape, new: New) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine of the angles of every new token: float32 [n, head_size / 2] each.

    Args:
        shape: Of the model.
        new: The tokens; their positions follow those that are known.
    """
    steps = torch.arange(0, shape.head_size, 2, dtype=torch.float32) / shape.head_size
    frequencies = 1.0 / shape.rotary_base**steps
    places = [torch.arange(states.length, states.length + count) for states, count in new]
    angles = torch.cat(places)[:, None] * frequencies
    return angles.cos(), angles.sin()


def _attended(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Queries [n, heads, size], keys and values [key_value_heads, all, size] -> [n, heads * size]."""
    count, heads, size = queries.shape
    groups = len(keys)
    shared = heads // groups
    # All queries that share a key-value head are its rows: keys and values are read where they lie, while torch's
    # own grouping copies them for every query head.
    rows = queries.view(count, groups, shared, size).permute(1, 2, 0, 3)
    seen = F.scaled_dot_product_attention(
        rows.reshape(1, groups, shared * count, size), keys[None], values[None], attn_mask=mask
    )
    return seen.view(groups, shared, count, size).permute(2, 0, 1, 3).reshape(count, heads * size)
