"""One layer of BERT's encoder (Devlin et al. 2018), as it is trained and saved.

h = norm(h + attention(h));  h = norm(h + W2 gelu(W1 h))                # [n, t, d]
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F


class BertLayer(torch.nn.Module):
    """One layer: attention and the feed-forward block, each followed by a norm.

    Args:
        weights: Its tensors, named as below, and weight and bias of `attention_norm` and `feed_norm`.
        heads: Number of attention heads.
        epsilon: Added to the variance in the norms.
    """

    qkv_weight: torch.Tensor
    qkv_bias: torch.Tensor
    output_weight: torch.Tensor
    output_bias: torch.Tensor
    up_weight: torch.Tensor
    up_bias: torch.Tensor
    down_weight: torch.Tensor
    down_bias: torch.Tensor

    def __init__(self, weights: Mapping[str, torch.Tensor], heads: int, epsilon: float) -> None:
        super().__init__()
        for name, tensor in weights.items():
            self.register_parameter(name, torch.nn.Parameter(tensor, requires_grad=False))
        self._heads = heads
        self._epsilon = epsilon
        self.dropout = 0.0  # only while it is trained

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """[n, t, d] -> [n, t, d]; the mask [n, 1, 1, t] is True for tokens, None where nothing is padded."""
        n, t, d = hidden.shape
        fused = self._product("qkv", hidden)
        query, key, value = fused.view(n, t, 3, self._heads, d // self._heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)  # [n, heads, t, d/heads]
        mixed = mixed.transpose(1, 2).reshape(n, t, d)
        hidden = self._normed(hidden, self._product("output", mixed), "attention")
        inner = self._product("up", hidden, gelu=True)
        return self._normed(hidden, self._product("down", inner), "feed")

    def _product(self, name: str, inputs: torch.Tensor, *, gelu: bool = False) -> torch.Tensor:
        found = F.linear(inputs, getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias"))
        return F.gelu(found) if gelu else found

    def _normed(self, hidden: torch.Tensor, change: torch.Tensor, norm: str) -> torch.Tensor:
        change = F.dropout(change, self.dropout, self.training)
        weight, bias = getattr(self, f"{norm}_norm_weight"), getattr(self, f"{norm}_norm_bias")
        return F.layer_norm(hidden + change, weight.shape, weight, bias, self._epsilon)
