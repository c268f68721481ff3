"""A model of a few thousand random weights in float32: for what does not depend on what it says."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from agentkit.models.dialects import HermesDialect
from agentkit.models.engine.foreign_network import ForeignNetwork
from agentkit.models.engine.network import DecoderNetwork
from agentkit.models.engine.prefix_files import PrefixFiles
from agentkit.models.engine.weights import InMemory, decoder_network, shape_of
from agentkit.models.local_generator import LocalGenerator
from agentkit.testing import ByteTokenizer

CODEC = ByteTokenizer(unused=3)


@lru_cache
def tiny_model(sliding_window: int | None = None) -> Any:
    """A random Qwen2 of two layers over the byte tokenizer, the same in every run."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=CODEC.size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        use_sliding_window=sliding_window is not None,
        sliding_window=sliding_window,
        max_window_layers=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = Qwen2ForCausalLM(config)
    for parameter in model.parameters():
        # Small random weights say one word again and again; with larger ones the last token matters.
        parameter.data.mul_(6 if parameter.dim() > 1 else 1)
    model.train(False)
    return model


def tiny_network(sliding_window: int | None = None) -> ForeignNetwork | DecoderNetwork:
    """The tiny model on our own network; on transformers, where it has a window."""
    model = tiny_model(sliding_window)
    shape = shape_of(model.config.to_dict())
    if shape is None:
        return ForeignNetwork(model)
    return decoder_network(InMemory(model.state_dict()), shape, "float32")


def tiny_generator(
    *, context_length: int = 4096, sliding_window: int | None = None, files: PrefixFiles | None = None
) -> LocalGenerator:
    """A generator with an empty tree over the tiny model."""
    end = CODEC.control_id("<|im_end|>")
    assert end is not None
    return LocalGenerator(
        tiny_network(sliding_window),
        codec=CODEC,
        dialect=HermesDialect(),
        end_ids=[end],
        name="tiny",
        context_length=context_length,
        files=files,
    )
