"""Matrix products with the weights of a layer, in the three number formats that a processor is good at.

int8 is W8A8: a weight is kept as a whole number and one scale per row of the matrix (output channel), an input as a
whole number and one scale per token (Dettmers et al. 2022, arXiv 2208.07339, section 2, without the outlier part). The
scale per token is what makes a result independent of the other rows of a batch: an input is first divided by its own
largest magnitude, so that one fixed scale fits every batch.

The product runs in fbgemm through `torch.ops.quantized`, which torch has announced to remove in favour of torchao;
nothing outside this module knows of it. fbgemm needs the weights packed, which takes seconds; until then
`torch._int_mm` multiplies the same whole numbers as they lie in the file, at up to twice the cost for a few rows.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, Final, Protocol

import torch
import torch.nn.functional as F

_INPUT_SCALE: Final = 1 / 127
_INPUT_ZERO: Final = 128
_SMALLEST: Final = 1e-12


class Linear(Protocol):
    """y = x W^T + b."""

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """[n, in] -> [n, out]."""
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

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """[n, in] -> [n, out]."""
        return F.linear(inputs, self._weight, self._bias)


class Int8Linear:
    """Weights as int8; inputs and outputs in float32.

    Args:
        weight: int8 [out, in].
        scale: float32 [out]: what a step of a row's weights is worth.
        bias: float32 [out], or None.
    """

    def __init__(self, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None) -> None:
        _library()
        self._loose: tuple[torch.Tensor, torch.Tensor] | None = (weight, scale)
        self._packed: Any = None
        self._bias = bias
        self._product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32

    def pack(self) -> None:
        """See `Packable`; afterwards the weight that was given is not needed any more."""
        if self._loose is None:
            return
        weight, scale = self._loose
        zeros = torch.zeros(len(scale), dtype=torch.long)
        quantised = torch._make_per_channel_quantized_tensor(weight, scale.double(), zeros, 0)
        self._packed = torch.ops.quantized.linear_prepack(quantised, None)
        self._loose = None  # last: who finds it gone finds the other one there

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """[n, in] -> [n, out]."""
        largest = inputs.abs().amax(-1, keepdim=True).clamp_min_(_SMALLEST)  # [n, 1]
        loose = self._loose
        if loose is None:
            product = self._product(inputs / largest, _INPUT_SCALE, _INPUT_ZERO, self._packed)
        else:
            weight, scale = loose
            whole = (inputs / largest).mul_(127).round_().to(torch.int8)
            product = torch._int_mm(whole, weight.t()).float().mul_(scale * _INPUT_SCALE)
        if self._bias is None:
            return product.mul_(largest)  # type: ignore[no-any-return]
        return torch.addcmul(self._bias, product, largest)


def quantised(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight matrix as whole numbers, each row with its own scale.

    Args:
        weight: Floating point, [out, in].

    Returns:
        int8 [out, in] and float32 [out]; `weight` is about `int8 * scale[:, None]`.
    """
    values = weight.float()
    scale = (values.abs().amax(1) / 127).clamp_min_(_SMALLEST)
    return (values / scale[:, None]).round_().clamp_(-127, 127).to(torch.int8), scale


def int8_is_supported() -> bool:
    """Whether this build of torch has the int8 products."""
    return _library() is not None


@functools.cache
def _library() -> str | None:
    """Choose what packs and multiplies: the library that takes the better of fbgemm and oneDNN, if it is there."""
    known = torch.backends.quantized.supported_engines
    chosen = next((name for name in ("x86", "fbgemm", "onednn") if name in known), None)
    if chosen is not None:
        torch.backends.quantized.engine = chosen
        with warnings.catch_warnings():  # says once in a process that torchao is to take over
            warnings.simplefilter("ignore")
            one = torch.ones(1)
            torch._make_per_channel_quantized_tensor(one[None].to(torch.int8), one.double(), one.long(), 0)
    return chosen
