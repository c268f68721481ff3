"""Matrix products with the weights of a layer, and what comes right before and after them in a network.

Floating point products run in torch; quantised ones in our own kernels, where the norm before a product and the sum
after it are part of the same pass over the numbers. Inputs are then quantised by groups of 32, each with its own scale
(as llama.cpp's `Q8_1`), which keeps the outliers of one group from blurring the others.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F

from agentkit.models.engine.packed_weights import PackedWeights
from agentkit.models.kernels import Kernels
from agentkit.models.machine_code import ROWS, Before


class Linear(Protocol):
    """y = x W^T + b."""

    def __call__(self, inputs: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        """[n, in] -> `onto` + [n, out]; `onto` may be overwritten."""
        ...

    def of_normed(self, inputs: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """[n, in] -> [n, out], of inputs / sqrt(mean square + epsilon) * weight.

        RMSNorm: Zhang and Sennrich 2019, arXiv 1910.07467.
        """
        ...

    def of_gated(self, inputs: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        """[n, 2 in], gates and values -> `onto` + [n, out], of silu(gate) * value; `onto` may be overwritten.

        SwiGLU: Shazeer 2020, arXiv 2002.05202.
        """
        ...


class FloatLinear:
    """Weights in float32 or bfloat16; inputs in the same format.

    Args:
        weight: [out, in].
        bias: [out], or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight = weight
        self._bias = bias

    def __call__(self, inputs: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        """[n, in] -> `onto` + [n, out]."""
        return onto + F.linear(inputs, self._weight, self._bias)

    def of_normed(self, inputs: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """See `Linear`."""
        return F.linear(F.rms_norm(inputs, weight.shape, weight, epsilon), self._weight, self._bias)

    def of_gated(self, inputs: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        gate, value = inputs.chunk(2, -1)
        return self(F.silu(gate) * value, onto)


class PackedLinear:
    """Weights in 4 or 8 bits; inputs and outputs in float32.

    Args:
        kernels: Of this processor.
        weights: As `packed` gives them.
        bias: float32 [out], or None.
    """

    def __init__(self, kernels: Kernels, weights: PackedWeights, bias: torch.Tensor | None) -> None:
        self._outputs = len(weights.row_scales)
        rows = ROWS * len(weights.blocks)
        scales, padded = weights.row_scales, torch.zeros(rows)
        if rows != self._outputs:
            scales = F.pad(scales, (0, rows - self._outputs))
        if bias is not None:
            padded[: self._outputs] = bias
        self._multiply = kernels.quantised(weights.blocks, scales, padded, weights.bits)
        self._whole = rows == self._outputs

    def __call__(self, inputs: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        """[n, in] -> `onto` + [n, out]."""
        return self._product(inputs, "plain", onto=onto)

    def of_normed(self, inputs: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """See `Linear`."""
        return self._product(inputs, "normed", norm=(weight, epsilon))

    def of_gated(self, inputs: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        return self._product(inputs, "gated", onto=onto)

    def _product(
        self,
        inputs: torch.Tensor,
        before: Before,
        *,
        norm: tuple[torch.Tensor, float] | None = None,
        onto: torch.Tensor | None = None,
    ) -> torch.Tensor:
        inputs = inputs.contiguous()
        if self._whole:
            return self._multiply(inputs, before, norm=norm, onto=onto)
        cut = self._multiply(inputs, before, norm=norm)[:, : self._outputs]
        return cut if onto is None else onto + cut
