"""Layers of BERT that only compute: their weights lie as the products read them.

The products are our own machine code: with a message of ten tokens they take two thirds of the time of oneDNN's, and
with thousands the same. In bulk, where a little precision matters less than half of the time, oneDNN multiplies in
bfloat16 (`bulk.quick_products`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Final

import torch
import torch.nn.functional as F

from agentkit.models.bert_layer import BertLayer
from agentkit.models.kernels import (
    Kernels,
    float_attention_fits,
    float_blocks,
    float_matrix,
    kernels,
    takes_floats,
)

_PRODUCTS: Final = ("qkv", "output", "up", "down")
_ROWS: Final = 64
"""Tokens that weights in bfloat16 are laid out for: for one alone it would be another layout, for more it is this."""


class PackedLayer(BertLayer):
    """A layer that is not trained.

    Args:
        plain: The layer as it is trained and saved.
        products: What multiplies.
    """

    def __init__(self, plain: BertLayer, products: Kernels) -> None:
        named = {name: value.detach() for name, value in plain.named_parameters()}
        weights = {name: named.pop(f"{name}_weight") for name in _PRODUCTS}
        super().__init__(named, plain._heads, plain._epsilon)
        self._floats = {
            name: (float_blocks(weight), named[f"{name}_bias"]) for name, weight in weights.items()
        }
        self._short: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}  # bfloat16, once it is wanted
        self._kernels = products
        self._norms = {
            part: (tuple(named[f"{part}_weight"].shape), named[f"{part}_weight"], named[f"{part}_bias"])
            for part in ("attention_norm", "feed_norm")
        }

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """See `BertLayer`."""
        if torch.is_autocast_enabled("cpu"):
            return super().forward(hidden, mask)
        n, t, d = hidden.shape
        rows = hidden.reshape(n * t, d)
        multiply = self._kernels.product_of_floats
        fused = multiply(rows, *self._floats["qkv"])
        if mask is None and float_attention_fits(t, d // self._heads):
            mixed = self._kernels.attention_of_floats(fused, n, self._heads)
        else:
            query, key, value = fused.view(n, t, 3, self._heads, -1).permute(2, 0, 3, 1, 4).unbind()
            # [n, heads, t, d / heads]
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            mixed = mixed.transpose(1, 2).reshape(n * t, d)
        rows = multiply(mixed, *self._floats["output"], onto=rows)
        rows = torch.layer_norm(rows, *self._norms["attention_norm"], self._epsilon)
        inner = F.gelu(multiply(rows, *self._floats["up"]))
        rows = multiply(inner, *self._floats["down"], onto=rows)
        return torch.layer_norm(rows, *self._norms["feed_norm"], self._epsilon).view(n, t, d)

    def plain(self) -> BertLayer:
        """The layer that it was made of, bit for bit."""
        weights = {name: value.detach().clone() for name, value in self.named_parameters()}
        weights |= {f"{name}_weight": float_matrix(blocks) for name, (blocks, _) in self._floats.items()}
        return BertLayer(weights, self._heads, self._epsilon)

    def _product(self, name: str, inputs: torch.Tensor, *, gelu: bool = False) -> torch.Tensor:
        """In bfloat16."""
        if name not in self._short:
            blocks, bias = self._floats[name]
            self._short[name] = _laid_out(float_matrix(blocks).bfloat16()), bias.bfloat16()
        weight, bias = self._short[name]
        after, kind = ("gelu", "none") if gelu else ("none", "")
        product = torch.ops.mkldnn._linear_pointwise  # what torch's own compiler calls
        found: torch.Tensor = product(inputs.bfloat16(), weight, bias, after, [], kind)
        return found


def packed(layers: Iterable[Any]) -> torch.nn.ModuleList:
    """Layers for computing only; as they are where there is no machine code for them.

    Args:
        layers: Of `BertLayer`.
    """
    products = kernels()
    return torch.nn.ModuleList(
        PackedLayer(each, products) if products is not None and _fits(each) else each for each in layers
    ).eval()


def plain(layers: Iterable[Any]) -> torch.nn.ModuleList:
    """Copies of layers as they are trained and saved."""
    return torch.nn.ModuleList(
        each.plain() if isinstance(each, PackedLayer) else copy.deepcopy(each) for each in layers
    )


def _fits(layer: BertLayer) -> bool:
    return all(takes_floats(getattr(layer, f"{name}_weight").shape) for name in _PRODUCTS)


def _laid_out(weight: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)
    return found
