"""BERT's encoder written out (Devlin et al. 2018), for messages of a few tokens on a processor.

    h = norm(word + position + type)                                        # [n, t, d]
    h = norm(h + attention(h));  h = norm(h + W2 gelu(W1 h))                # each layer

The same numbers as transformers' `BertModel` to float32 rounding, with one matrix for queries, keys and values and no
mask where nothing is padded. The layers are modules of their own: tuning trains the upper ones
(`agentkit.intents.tuning`), and a tuned encoder goes on from the states of a lower one (`tuned_encoder`). A layer that
only computes has its weights laid out for that (`PackedLayer`).
"""

from __future__ import annotations

import copy
import platform
from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch
import torch.nn.functional as F

_KNOWN: Final = {
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
}
_FUSED: Final = ("query", "key", "value")
_PRODUCTS: Final = ("qkv", "output", "up", "down")
_ROWS: Final = 64
"""Tokens that weights are laid out for: for one alone the layout would be another, for more it is the same."""


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


class PackedLayer(BertLayer):
    """A layer that is not trained: its weights lie as the products of oneDNN read them.

    A message of ten tokens costs half (torch lays plain weights out anew in every product), a large batch a fifth less.
    The numbers are float32, as they were; within `quick_products` a second copy in bfloat16 serves.

    Args:
        plain: The layer as it is trained and saved.
    """

    def __init__(self, plain: BertLayer) -> None:
        named = {name: value.detach() for name, value in plain.named_parameters()}
        weights = {name: named.pop(f"{name}_weight") for name in _PRODUCTS}
        super().__init__(named, plain._heads, plain._epsilon)
        own = {name: (_laid_out(weight), named[f"{name}_bias"]) for name, weight in weights.items()}
        self._by_dtype = {torch.float32: own}

    def plain(self) -> BertLayer:
        """The layer that it was made of, bit for bit."""
        weights = {name: value.detach().clone() for name, value in self.named_parameters()}
        for name, (weight, _) in self._by_dtype[torch.float32].items():
            weights[f"{name}_weight"] = weight.to_dense()
        return BertLayer(weights, self._heads, self._epsilon)

    def _product(self, name: str, inputs: torch.Tensor, *, gelu: bool = False) -> torch.Tensor:
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
        if dtype not in self._by_dtype:
            own = self._by_dtype[torch.float32].items()
            self._by_dtype[dtype] = {
                part: (_laid_out(weight.to_dense().to(dtype)), bias.to(dtype)) for part, (weight, bias) in own
            }
        weight, bias = self._by_dtype[dtype][name]
        after, kind = ("gelu", "none") if gelu else ("none", "")
        product = torch.ops.mkldnn._linear_pointwise  # what torch's own compiler calls
        found: torch.Tensor = product(inputs.to(dtype), weight, bias, after, [], kind)
        return found


def packed(layers: Iterable[Any]) -> torch.nn.ModuleList:
    """Layers for computing only; as they are where torch cannot lay them out.

    Args:
        layers: Of `BertLayer`.
    """
    can = torch._C._has_mkldnn and platform.machine() in ("x86_64", "AMD64")
    return torch.nn.ModuleList(PackedLayer(each) if can else each for each in layers).eval()


def plain(layers: Iterable[Any]) -> torch.nn.ModuleList:
    """Copies of layers as they are trained and saved."""
    return torch.nn.ModuleList(
        each.plain() if isinstance(each, PackedLayer) else copy.deepcopy(each) for each in layers
    )


def _laid_out(weight: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)
    return found


class BertNetwork(torch.nn.Module):
    """A whole BERT.

    Args:
        config: Content of `config.json`; `is_known` must hold.
        weights: The tensors of the file, all that `weight_shapes` names.
    """

    word: torch.Tensor
    position: torch.Tensor
    token_type: torch.Tensor
    norm_weight: torch.Tensor
    norm_bias: torch.Tensor

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self._epsilon = float(config["layer_norm_eps"])
        for name in ("word", "position", "token_type"):
            self.register_buffer(name, weights[f"embeddings.{name}_embeddings.weight"].float())
        self.register_buffer("norm_weight", weights["embeddings.LayerNorm.weight"].float())
        self.register_buffer("norm_bias", weights["embeddings.LayerNorm.bias"].float())
        heads = int(config["num_attention_heads"])
        layers = range(int(config["num_hidden_layers"]))
        self.layers = packed(
            torch.nn.ModuleList(BertLayer(_of_layer(weights, at), heads, self._epsilon) for at in layers)
        )

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, keep: int | None = None, *, stop: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Run the layers.

        Args:
            ids: Token ids, [n, t].
            mask: 1 for a token, 0 for padding, [n, t].
            keep: After how many layers the states are wanted, too.
            stop: Whether no layer behind these is wanted.

        Returns:
            The last states [n, t, d], and those after `keep` layers.
        """
        hidden = self.word[ids] + self.position[: ids.shape[1]] + self.token_type[0]
        hidden = F.layer_norm(hidden, self.norm_weight.shape, self.norm_weight, self.norm_bias, self._epsilon)
        kept = hidden if keep == 0 else None
        attended = attention_mask(mask)
        for number, layer in enumerate(self.layers[:keep] if stop else self.layers, start=1):
            hidden = layer(hidden, attended)
            if number == keep:
                kept = hidden
        return hidden, kept


def attention_mask(mask: torch.Tensor) -> torch.Tensor | None:
    """Which tokens may be looked at, [n, 1, 1, t]; None where there is no padding: that is quicker."""
    return None if bool(mask.all()) else mask.bool()[:, None, None, :]


def pooled(hidden: torch.Tensor, mask: torch.Tensor, *, first: bool = False) -> torch.Tensor:
    """One unit vector a text, float32 [n, d]: the mean of its token vectors [n, t, d], or the first one."""
    if first:
        return F.normalize(hidden[:, 0].float(), dim=1)
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return F.normalize(((hidden * weights).sum(1) / weights.sum(1)).float(), dim=1)


def is_known(config: Mapping[str, Any]) -> bool:
    """Whether this module computes what the configuration describes."""
    return config.get("model_type") == "bert" and all(
        config.get(key, values[0]) in values for key, values in _KNOWN.items()
    )


def weight_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that is needed."""
    d, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (int(config["vocab_size"]), d),
        "embeddings.position_embeddings.weight": (int(config["max_position_embeddings"]), d),
        "embeddings.token_type_embeddings.weight": (int(config.get("type_vocab_size", 2)), d),
        "embeddings.LayerNorm.weight": (d,),
        "embeddings.LayerNorm.bias": (d,),
    }
    for index in range(int(config["num_hidden_layers"])):
        begin = f"encoder.layer.{index}"
        for part in (*(f"attention.self.{one}" for one in _FUSED), "attention.output.dense"):
            shapes |= {f"{begin}.{part}.weight": (d, d), f"{begin}.{part}.bias": (d,)}
        shapes |= {f"{begin}.intermediate.dense.weight": (inner, d)}
        shapes |= {f"{begin}.intermediate.dense.bias": (inner,)}
        shapes |= {f"{begin}.output.dense.weight": (d, inner), f"{begin}.output.dense.bias": (d,)}
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{begin}.{norm}.weight": (d,), f"{begin}.{norm}.bias": (d,)}
    return shapes


def _of_layer(weights: Mapping[str, torch.Tensor], index: int) -> dict[str, torch.Tensor]:
    begin = f"encoder.layer.{index}"
    found: dict[str, torch.Tensor] = {}
    for kind in ("weight", "bias"):
        fused = [weights[f"{begin}.attention.self.{part}.{kind}"] for part in _FUSED]
        found[f"qkv_{kind}"] = torch.cat(fused).float()
        for name, part in (
            ("output", "attention.output.dense"),
            ("up", "intermediate.dense"),
            ("down", "output.dense"),
            ("attention_norm", "attention.output.LayerNorm"),
            ("feed_norm", "output.LayerNorm"),
        ):
            found[f"{name}_{kind}"] = weights[f"{begin}.{part}.{kind}"].float()
    return found
