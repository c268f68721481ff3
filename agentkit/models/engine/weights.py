"""From safetensors to a `DecoderNetwork`: which folders it can run, and in which number format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

import torch
from safetensors import safe_open

from agentkit.errors import ModelRefused
from agentkit.models.engine.attention import Attention, CompiledAttention, TorchAttention
from agentkit.models.engine.linear import FloatLinear, Linear, PackedLinear
from agentkit.models.engine.network import DecoderNetwork, Feed, Layer
from agentkit.models.engine.packed_weights import PackedWeights, packed
from agentkit.models.engine.shape import Shape
from agentkit.models.kernels import attention_fits, kernels
from agentkit.models.machine_code import GROUP

Precision: TypeAlias = Literal["float32", "bfloat16", "int8"]

_FAMILY: Final = ("llama", "mistral", "qwen2")
_PRODUCTS: Final = {
    "query_key_value": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention_output": ("self_attn.o_proj",),
    "gate_and_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""The products of a layer and the matrices that each is made of, one below the other."""
_NORMS: Final = {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"}


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """The shape that a `config.json` describes; None if the model is of another kind than `DecoderNetwork` runs."""
    rotary = config.get("rope_parameters") or config.get("rope_scaling") or {}
    windows = config.get("sliding_window") and config.get("use_sliding_window", True)
    plain = rotary.get("rope_type", rotary.get("type", "default")) == "default"
    partly = rotary.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0)) != 1.0
    if config.get("model_type") not in _FAMILY or config.get("hidden_act") != "silu":
        return None
    if windows or partly or not plain:
        return None
    heads = config["num_attention_heads"]
    return Shape(
        layers=config["num_hidden_layers"],
        heads=heads,
        key_value_heads=config.get("num_key_value_heads") or heads,
        head_size=config.get("head_dim") or config["hidden_size"] // heads,
        vocabulary=config["vocab_size"],
        norm_epsilon=config["rms_norm_eps"],
        rotary_base=rotary.get("rope_theta", config.get("rope_theta", 10_000.0)),
    )


class Tensors(Protocol):
    """Tensors by their names."""

    def __contains__(self, name: str) -> bool: ...

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor.

        Raises:
            ModelRefused: It is not there.
        """
        ...


class InMemory:
    """Tensors of a dictionary.

    Args:
        tensors: By the names that transformers gives them.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors = tensors

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, which must be there."""
        return self._tensors[name]


class WeightFiles:
    """The tensors of safetensors files by their names.

    Files are mapped into memory for one tensor at a time: what has been read and packed takes no memory twice.

    Args:
        paths: The files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths: dict[str, Path] = {}
        for path in paths:
            with safe_open(path, framework="pt") as file:
                self._paths |= dict.fromkeys(file.keys(), path)
        self._names = ", ".join(path.name for path in paths)

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor.

        Raises:
            ModelRefused: It is not there.
        """
        if name not in self._paths:
            raise ModelRefused(
                f"weights are missing: {name} is not in {self._names}.",
                hint="The folder is incomplete, or its config.json belongs to another model.",
            )
        with safe_open(self._paths[name], framework="pt") as file:
            return file.get_tensor(name)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Product:
    """One matrix product of the model: the stacked weights and biases of what is computed together."""

    weight: torch.Tensor
    bias: torch.Tensor | None


class DecoderWeights:
    """The parts of a decoder in a folder, by what they are for.

    Args:
        files: Its tensors, under the names that transformers gives them.
        shape: Its sizes.
    """

    def __init__(self, files: Tensors, shape: Shape) -> None:
        self._files = files
        self.shape = shape

    @property
    def embedding(self) -> torch.Tensor:
        """[vocabulary, d], mapped into memory: only the rows of used tokens are ever read."""
        return self._files.tensor("model.embed_tokens.weight")

    @property
    def norm(self) -> torch.Tensor:
        """[d]."""
        return self._files.tensor("model.norm.weight")

    def layer_norm(self, layer: int, name: str) -> torch.Tensor:
        """A norm of a layer by its name in `Layer`: [d]."""
        return self._files.tensor(f"model.layers.{layer}.{_NORMS[name]}.weight")

    def product(self, layer: int, name: str) -> Product:
        """A product of a layer by its name in `Layer`."""
        return self._joined([f"model.layers.{layer}.{part}" for part in _PRODUCTS[name]])

    def widths(self) -> list[int]:
        """How many inputs the products of a layer have."""
        firsts = (f"model.layers.0.{parts[0]}.weight" for parts in _PRODUCTS.values())
        return [self._files.tensor(name).shape[1] for name in firsts]

    def output(self) -> Product:
        """The last product: the embedding itself where the model ties them."""
        tied = "lm_head.weight" not in self._files
        return self._joined(["model.embed_tokens" if tied else "lm_head"])

    def _joined(self, names: Sequence[str]) -> Product:
        parts = [self._files.tensor(f"{name}.weight") for name in names]
        biases = [self._files.tensor(f"{n}.bias") for n in names if f"{n}.bias" in self._files]
        if len({part.shape[1] for part in parts}) != 1 or len(biases) not in (0, len(parts)):
            raise ModelRefused(
                f"the shape of {', '.join(names)} is not that of the configuration.",
                hint="The config.json of the folder belongs to another model.",
            )
        if len(parts) == 1:
            return Product(parts[0], biases[0] if biases else None)
        return Product(torch.cat(parts), torch.cat(biases) if biases else None)


def decoder_network(
    source: Tensors, shape: Shape, precision: Precision, int8: Tensors | None = None
) -> DecoderNetwork:
    """The network of some weights.

    Args:
        source: The weights, under the names that transformers gives them.
        shape: Of the model.
        precision: Number format of the products.
        int8: What `int8_tensors` gave for these weights; needed for `int8`.

    Raises:
        ModelRefused: Weights are missing or of another shape.
    """
    weights = DecoderWeights(source, shape)
    compute = torch.bfloat16 if precision == "bfloat16" else torch.float32
    kept = torch.float32 if precision == "float32" else torch.bfloat16

    def linear(layer: int | None, name: str) -> Linear:
        if precision == "int8":
            assert int8 is not None
            return _int8_linear(int8, layer, name)
        return _float_linear(weights, layer, name, compute)

    def build(layer: int) -> Layer:
        norms = {name: weights.layer_norm(layer, name).to(compute) for name in _NORMS}
        products = {name: linear(layer, name) for name in _PRODUCTS}
        return Layer(**norms, **products)  # type: ignore[arg-type]

    network = DecoderNetwork(
        shape,
        embedding=weights.embedding,
        layers=[build(layer) for layer in range(shape.layers)],
        norm=weights.norm.to(compute),
        output=linear(None, "output"),
        attention=_attention(shape, precision, compute, kept),
        compute=compute,
        kept=kept,
        number_format=precision,
    )
    _check(network, weights.embedding, shape)
    return network


def _attention(shape: Shape, precision: Precision, compute: torch.dtype, kept: torch.dtype) -> Attention:
    code = kernels() if precision == "int8" else None
    if code is None or not attention_fits(shape.head_size):
        return TorchAttention(shape, compute, kept)
    return CompiledAttention(shape, code)


def int8_fits(weights: DecoderWeights) -> bool:
    """Whether the kernels run here and can multiply by matrices of these widths."""
    return kernels() is not None and all(width % GROUP == 0 for width in weights.widths())


def int8_tensors(weights: DecoderWeights) -> Iterator[tuple[str, torch.Tensor]]:
    """What the int8 file holds: each product's weights, scales and biases, one product after another."""
    places: list[tuple[int | None, str]] = [
        (layer, name) for layer in range(weights.shape.layers) for name in _PRODUCTS
    ]
    for layer, name in [*places, (None, "output")]:
        product = weights.output() if layer is None else weights.product(layer, name)
        matrix = packed(product.weight)
        yield _int8_name(layer, name, "blocks"), matrix.blocks
        yield _int8_name(layer, name, "scales"), matrix.row_scales
        if product.bias is not None:
            yield _int8_name(layer, name, "bias"), product.bias.float()


def _int8_name(layer: int | None, name: str, part: str) -> str:
    return f"{name}.{part}" if layer is None else f"layers.{layer}.{name}.{part}"


def _int8_linear(stored: Tensors, layer: int | None, name: str) -> Linear:
    code = kernels()
    assert code is not None
    parts = [stored.tensor(_int8_name(layer, name, part)) for part in ("blocks", "scales")]
    bias = _int8_name(layer, name, "bias")
    return PackedLinear(code, PackedWeights(*parts), stored.tensor(bias) if bias in stored else None)


def _float_linear(weights: DecoderWeights, layer: int | None, name: str, dtype: torch.dtype) -> Linear:
    product = weights.output() if layer is None else weights.product(layer, name)
    return FloatLinear(product.weight.to(dtype), None if product.bias is None else product.bias.to(dtype))


def _check(network: DecoderNetwork, embedding: torch.Tensor, shape: Shape) -> None:
    """One token through the network: a matrix of a wrong size shows here and not in a customer's turn."""
    try:
        logits = network.forward([Feed([0], network.new_states(), 1)])
    except RuntimeError as error:
        raise ModelRefused(
            f"the weights do not fit together, or their shape is not that of the configuration: {error}",
            hint="The config.json of the folder belongs to another model.",
        ) from error
    if logits.shape != (1, shape.vocabulary) or len(embedding) != shape.vocabulary:
        raise ModelRefused(
            f"the shape of the vocabulary is {logits.shape[1]}, and {shape.vocabulary} in the configuration.",
            hint="The config.json of the folder belongs to another model.",
        )
