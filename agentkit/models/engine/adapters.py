"""Low-rank additions to the products of a network's upper layers, for the tokens that are read and no others.

    y = W x + up (down x),   down [rank, in], up [out, rank]

As LoRA (Hu et al. 2021, arXiv 2106.09685), but never added into W: what comes before the tokens that are read
(examples, a passage) is computed by the network as it is, so that its states serve every question, whoever asks
(Greenewald et al. 2025, arXiv 2504.12397). W stays in the few bits that it is packed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from agentkit.models.engine.linear import Linear

if TYPE_CHECKING:
    from agentkit.models.engine.network import Layer


@dataclass(frozen=True)
class LowRank:
    """What is added to one product.

    Args:
        down: float32 [rank, in].
        up: float32 [out, rank].
    """

    down: torch.Tensor
    up: torch.Tensor

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """[n, in] -> [n, out], in the number format of the inputs."""
        return F.linear(F.linear(inputs.float(), self.down), self.up).to(inputs.dtype)


class Adapter:
    """What is added to the products of a network.

    Args:
        products: By index of the layer, then by the product's name in `Layer`.
    """

    def __init__(self, products: Mapping[int, Mapping[str, LowRank]]) -> None:
        self._products = products

    @classmethod
    def load(cls, path: Path) -> Adapter:
        """Read a file with tensors `layers.INDEX.PRODUCT.down` and `.up`, in any floating point format."""
        tensors = load_file(path)
        products: dict[int, dict[str, LowRank]] = {}
        for name in tensors:
            place, _, part = name.rpartition(".")
            if part == "down":
                _, index, product = place.split(".")
                pair = (tensors[f"{place}.{half}"].float() for half in ("down", "up"))
                products.setdefault(int(index), {})[product] = LowRank(*pair)
        return cls(products)

    def on(self, layers: Sequence[Layer], rows: Sequence[int]) -> list[Layer]:
        """The layers, as they are for a pass in which it applies to these rows."""
        adapted = list(layers)
        for index, additions in self._products.items():
            layer = layers[index]
            names = {field.name for field in fields(layer)} & additions.keys()
            products = {name: _OnRows(getattr(layer, name), additions[name], rows) for name in names}
            adapted[index] = replace(layer, **products)  # type: ignore[arg-type]
        return adapted


@dataclass(frozen=True)
class _OnRows:
    """Implements `Linear`: a product, and for some rows what is added to it."""

    product: Linear
    addition: LowRank
    rows: Sequence[int]

    def __call__(self, inputs: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        return self._added(self.product(inputs, onto), inputs[self.rows])

    def of_normed(self, inputs: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """See `Linear`."""
        normed = F.rms_norm(inputs[self.rows], weight.shape, weight, epsilon)
        return self._added(self.product.of_normed(inputs, weight, epsilon), normed)

    def of_gated(self, inputs: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        gate, value = inputs[self.rows].chunk(2, -1)
        return self._added(self.product.of_gated(inputs, onto), F.silu(gate) * value)

    def _added(self, result: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        result[self.rows] += self.addition(inputs)
        return result
