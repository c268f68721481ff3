"""Models of other families, run by transformers behind the engine's interface, one sequence after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from agentkit.models.engine.network import Feed


class ForeignStates:
    """States of one sequence in transformers' own cache; see `KeyValueStates`.

    Args:
        config: Configuration of the model.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self._begin()
        layers: Any = self.cache.layers
        self.divisible = bool(layers) and all(layer.is_croppable and not layer.is_sliding for layer in layers)

    def _begin(self) -> None:
        from transformers import DynamicCache

        self.cache: Any = DynamicCache(config=self._config)
        self.length = 0

    def reserve(self, length: int) -> None:
        """Nothing to do: transformers makes room as it goes."""

    def truncate(self, length: int) -> None:
        """Forget what comes after `length`; everything, where the states cannot be cut."""
        if length >= self.length:
            return
        if self.divisible and length:
            self.cache.crop(length - self.length)
            self.length = length
        else:
            self._begin()

    def segment(self, start: int, end: int) -> torch.Tensor:
        """A copy of the states from `start` to `end`: [layers, 2, heads, end - start, head_size]."""
        pairs = [torch.stack((layer.keys[0], layer.values[0])) for layer in self.cache.layers]
        return torch.stack(pairs)[:, :, :, start:end].clone()

    def append(self, segment: torch.Tensor) -> None:
        """Put a copy of a segment after what is there."""
        for index, (keys, values) in enumerate(segment.clone()):
            self.cache.update(keys[None], values[None], index)
        self.length += segment.shape[3]


class ForeignNetwork:
    """Any causal language model of transformers.

    Args:
        model: In evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def bytes_per_token(self) -> int:
        """Memory that the states of one token take."""
        config = self._model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(config.num_hidden_layers * 2 * heads * size * self._model.dtype.itemsize)

    def new_states(self) -> ForeignStates:
        """States of an empty sequence."""
        return ForeignStates(self._model.config)

    def forward(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """See `DecoderNetwork.forward`."""
        rows = []
        with torch.inference_mode():
            for feed in feeds:
                states = feed.states
                assert isinstance(states, ForeignStates)
                output = self._model(
                    input_ids=torch.tensor([list(feed.tokens)]),  # [1, n]
                    past_key_values=states.cache,
                    use_cache=True,
                    logits_to_keep=max(1, feed.keep),
                )
                states.length += len(feed.tokens)
                if feed.keep:
                    rows.append(output.logits[0].float())  # [keep, vocabulary]
        return torch.cat(rows) if rows else torch.empty(0)
