"""BERT's encoder written out (Devlin et al. 2018), for messages of a few tokens on a processor.

    h = norm(word + position + type)                                        # [n, t, d]
    h = norm(h + attention(h));  h = norm(h + W2 gelu(W1 h))                # each layer

The same numbers as transformers' `BertModel` to float32 rounding, with one matrix for queries, keys and values and no
mask where nothing is padded. The layers are modules of their own: tuning trains the upper ones
(`agentkit.intents.tuning`), and a tuned encoder goes on from the states of a lower one (`tuned_encoder`). A layer that
only computes has its weights laid out for that (`packed_layer`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
import torch.nn.functional as F

from agentkit.models.bert_layer import BertLayer
from agentkit.models.packed_layer import packed

_KNOWN: Final = {
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
}
_FUSED: Final = ("query", "key", "value")


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
