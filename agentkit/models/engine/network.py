"""A decoder of the Llama family (Llama, Mistral without windows, Qwen2), written out for one or many sequences.

    ids [n] -> embedding [n, d] -> layers x (attention, feed-forward) -> norm -> logits [kept, vocabulary]

The new tokens of all sequences go through the matrix products as one matrix [n, d]; only attention looks at each
sequence by itself, at its own keys and values. On a processor a product with eight rows costs about what one with a
single row costs, so that known tokens, drafts and other conversations ride along nearly free.

Llama: Touvron et al. 2023, arXiv 2302.13971. Rotary positions: Su et al. 2021, arXiv 2104.09864. Grouped-query
attention: Ainslie et al. 2023, arXiv 2305.13245.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from agentkit.models.engine.linear import Linear
from agentkit.models.engine.states import KeyValueStates, States


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


@dataclass(frozen=True)
class Layer:
    """The weights of one layer; d is the width of the model, f that of the feed-forward part.

    Args:
        attention_norm: [d].
        query_key_value: d -> (heads + 2 key_value_heads) * head_size.
        attention_output: heads * head_size -> d.
        feed_forward_norm: [d].
        gate_and_up: d -> 2 f.
        down: f -> d.
    """

    attention_norm: torch.Tensor
    query_key_value: Linear
    attention_output: Linear
    feed_forward_norm: torch.Tensor
    gate_and_up: Linear
    down: Linear


@dataclass(frozen=True)
class Feed:
    """What one sequence brings to a forward pass.

    Args:
        tokens: New token ids, at least one.
        states: States of the tokens before them; grow by the new ones.
        keep: Logits are wanted after so many of the last tokens; 0 if none are.
    """

    tokens: Sequence[int]
    states: States
    keep: int


class DecoderNetwork:
    """The model.

    Args:
        shape: Its sizes.
        embedding: [vocabulary, d], any floating point format.
        layers: Its layers, first to last.
        norm: [d].
        output: d -> vocabulary.
        compute: Number format between the products.
        kept: Number format of the states.
        number_format: What the products compute in, for whoever keeps the states elsewhere.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        embedding: torch.Tensor,
        layers: Sequence[Layer],
        norm: torch.Tensor,
        output: Linear,
        compute: torch.dtype,
        kept: torch.dtype,
        number_format: str,
    ) -> None:
        self.shape = shape
        self._embedding = embedding
        self._layers = list(layers)
        self._norm = norm
        self._output = output
        self._compute = compute
        self._kept = kept
        self.number_format = number_format
        steps = torch.arange(0, shape.head_size, 2, dtype=torch.float32) / shape.head_size
        self._frequencies = 1.0 / shape.rotary_base**steps  # [head_size / 2]

    @property
    def bytes_per_token(self) -> int:
        """Memory that the states of one token take."""
        shape = self.shape
        return shape.layers * 2 * shape.key_value_heads * shape.head_size * self._kept.itemsize

    def new_states(self) -> KeyValueStates:
        """States of an empty sequence."""
        shape = self.shape
        return KeyValueStates(shape.layers, shape.key_value_heads, shape.head_size, self._kept)

    def forward(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """One pass.

        Args:
            feeds: At least one; the states of each belong to it alone.

        Returns:
            float32 [sum of keep, vocabulary], in the order of the feeds.
        """
        epsilon = self.shape.norm_epsilon
        with torch.inference_mode():
            # 1. Vectors of all new tokens, and where each stands in its sequence.
            ids = torch.tensor([token for feed in feeds for token in feed.tokens])
            hidden = self._embedding[ids].to(self._compute)  # [n, d]
            rotation = self._rotation(feeds)
            masks = [self._mask(feed) for feed in feeds]
            for feed in feeds:
                feed.states.reserve(feed.states.length + len(feed.tokens))
            # 2. The layers.
            for index, layer in enumerate(self._layers):
                projected = layer.query_key_value.of_normed(hidden, layer.attention_norm, epsilon)
                hidden = layer.attention_output(
                    self._attend(index, projected, feeds, rotation, masks), hidden
                )
                gates_and_values = layer.gate_and_up.of_normed(hidden, layer.feed_forward_norm, epsilon)
                hidden = layer.down.of_gated(gates_and_values, hidden)
            for feed in feeds:
                assert isinstance(feed.states, KeyValueStates)
                feed.states.length += len(feed.tokens)
            # 3. Logits where somebody wants them.
            rows = _kept_rows(feeds)
            if not rows:
                return torch.empty(0, self.shape.vocabulary)
            return self._output.of_normed(hidden[rows], self._norm, epsilon).float()

    def _rotation(self, feeds: Sequence[Feed]) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sine of every token's angles: float32 [n, 1, head_size / 2] each."""
        places = [torch.arange(f.states.length, f.states.length + len(f.tokens)) for f in feeds]
        angles = torch.cat(places)[:, None, None] * self._frequencies
        return angles.cos(), angles.sin()

    def _mask(self, feed: Feed) -> torch.Tensor | None:
        """Which positions the new tokens see, once for each query head that shares their keys and values: bool
        [heads / key_value_heads * n, length + n]; None where the only new token sees all."""
        new, known = len(feed.tokens), feed.states.length
        if new == 1:
            return None
        seen = torch.ones(new, known + new, dtype=torch.bool).tril_(known)
        return seen.repeat(self.shape.heads // self.shape.key_value_heads, 1)

    def _attend(
        self,
        index: int,
        projected: torch.Tensor,
        feeds: Sequence[Feed],
        rotation: tuple[torch.Tensor, torch.Tensor],
        masks: Sequence[torch.Tensor | None],
    ) -> torch.Tensor:
        """Attention of each sequence over its own states: [n, (heads + 2 key_value_heads) * head_size] in,
        [n, heads * head_size] out."""
        shape = self.shape
        turned = shape.heads + shape.key_value_heads
        split = projected.view(len(projected), -1, shape.head_size)
        low, high = split[:, :turned].float().chunk(2, -1)
        cosine, sine = rotation
        rotated = torch.cat([low * cosine - high * sine, high * cosine + low * sine], -1).to(self._kept)
        values = split[:, turned:].to(self._kept)
        seen, start = [], 0
        for feed, mask in zip(feeds, masks, strict=True):
            end = start + len(feed.tokens)
            assert isinstance(feed.states, KeyValueStates)
            keys_, values_ = feed.states.write(index, rotated[start:end, shape.heads :], values[start:end])
            seen.append(self._attended(rotated[start:end, : shape.heads], keys_, values_, mask))
            start = end
        return (seen[0] if len(seen) == 1 else torch.cat(seen)).to(self._compute)

    def _attended(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
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


def _kept_rows(feeds: Sequence[Feed]) -> list[int]:
    rows: list[int] = []
    end = 0
    for feed in feeds:
        end += len(feed.tokens)
        rows += range(end - feed.keep, end)
    return rows
