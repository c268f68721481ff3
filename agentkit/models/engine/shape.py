"""The sizes of a decoder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """The sizes of a model.

    Args:
        layers: Number of layers.
        heads: Query heads of a layer.
        key_value_heads: Key-value heads of a layer; divides `heads`.
        head_size: Numbers per head.
        vocabulary: Rows of the output matrix.
        norm_epsilon: Added to the mean square in every norm.
        rotary_base: Base of the rotary positions.
    """

    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    norm_epsilon: float
    rotary_base: float
