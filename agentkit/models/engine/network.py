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
from dataclasses import dataclass, replace

import torch

from agentkit.models.engine.adapters import Adapter
from agentkit.models.engine.attention import Attention
from agentkit.models.engine.linear import Linear
from agentkit.models.engine.shape import Shape
from agentkit.models.engine.states import KeyValueStates, States


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
        adapter: Added to the products for these last tokens; None: nothing.
    """

    tokens: Sequence[int]
    states: States
    keep: int
    adapter: Adapter | None = None


class DecoderNetwork:
    """The model.

    Args:
        shape: Its sizes.
        embedding: [vocabulary, d], any floating point format.
        layers: Its layers, first to last.
        norm: [d].
        output: d -> vocabulary; None: a pass gives the hidden vectors of the last layer instead of logits.
        attention: How tokens look at what came before them.
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
        output: Linear | None,
        attention: Attention,
        compute: torch.dtype,
        kept: torch.dtype,
        number_format: str,
    ) -> None:
        self.shape = shape
        self._embedding = embedding
        self._layers = list(layers)
        self._norm = norm
        self._output = output
        self._attention = attention
        self._compute = compute
        self._kept = kept
        self.number_format = number_format

    def lower(self, layers: int) -> DecoderNetwork:
        """The first layers by themselves: a pass gives their hidden vectors, float32 [sum of keep, d], not logits.

        The weights are those of this network; the states are other ones.
        """
        return DecoderNetwork(
            replace(self.shape, layers=layers),
            embedding=self._embedding,
            layers=self._layers[:layers],
            norm=self._norm,
            output=None,
            attention=self._attention,
            compute=self._compute,
            kept=self._kept,
            number_format=f"{self.number_format}, {layers} layers",
        )

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
            new = []
            for feed in feeds:
                assert isinstance(feed.states, KeyValueStates)
                feed.states.reserve(feed.states.length + len(feed.tokens))
                new.append((feed.states, len(feed.tokens)))
            attend = self._attention.of_pass(new)
            # 2. The layers.
            for index, layer in enumerate(self._adapted(feeds)):
                # No names for what is large: it would be kept until the next layer has made its own.
                hidden = layer.attention_output(
                    attend(index, layer.query_key_value.of_normed(hidden, layer.attention_norm, epsilon)),
                    hidden,
                )
                hidden = layer.down.of_gated(
                    layer.gate_and_up.of_normed(hidden, layer.feed_forward_norm, epsilon), hidden
                )
            for states, count in new:
                states.length += count
            # 3. Logits, or the hidden vectors, where somebody wants them.
            rows = _kept_rows(feeds)
            if self._output is None:
                return hidden[rows].float()
            if not rows:
                return torch.empty(0, self.shape.vocabulary)
            return self._output.of_normed(hidden[rows], self._norm, epsilon).float()

    def _adapted(self, feeds: Sequence[Feed]) -> list[Layer]:
        """The layers, with what the adapters add."""
        layers = self._layers
        for adapter in dict.fromkeys(feed.adapter for feed in feeds if feed.keep):
            if adapter is not None:
                layers = adapter.on(layers, _kept_rows(feeds, adapter))
        return layers


def _kept_rows(feeds: Sequence[Feed], adapter: Adapter | None = None) -> list[int]:
    """Rows of the tokens whose logits are wanted: of all feeds, or of those with an adapter."""
    rows: list[int] = []
    end = 0
    for feed in feeds:
        end += len(feed.tokens)
        if adapter is None or feed.adapter is adapter:
            rows += range(end - feed.keep, end)
    return rows
