"""GGUF to a folder of safetensors that `from_pretrained` reads, one tensor in memory at a time.

Loading a GGUF directly unpacks it every time (40 s) or computes on packed blocks (1-2 tokens/s), so the cache
holds the unpacked weights. They are stored as bfloat16: half of the disk and of the time to load, and the
rounding (2**-9 of a value) is far below the steps of a 4-bit quantisation; `dev/log.md` has the figures. For
float32 the same values are widened.

transformers can do this too, but needs accelerate for it, holds the whole model in memory, and gives SmolLM2
the wrong splitting of text. The weights are the same, bit for bit. The mapping of names is that of
`convert_hf_to_gguf.py` of llama.cpp, read backwards.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from agentkit.errors import ModelRefused
from agentkit.models.gguf_file import GgufFile
from agentkit.models.gguf_tokenizer import save_tokenizer
from agentkit.models.progress import Progress, Silent, task

if TYPE_CHECKING:
    from agentkit.models.gguf_file import Tensor

_OUTSIDE_LAYERS: Final = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_LAYER: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_BLOCK_VALUES: Final = 1024 * 1024
_ARCHITECTURES: Final = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}


def convert_gguf(source: Path, folder: Path, progress: Progress | None = None) -> None:
    """Write the model of a GGUF file as `config.json`, `model.safetensors` and tokenizer files.

    The caller makes it atomic: `folder` is a temporary one that is renamed when everything is in it.

    Args:
        source: The GGUF file (architecture `qwen2` or `llama`, byte-level BPE tokenizer).
        folder: Where to write; exists and is empty.
        progress: Told of every tensor, in bytes written.

    Raises:
        ModelRefused: Another architecture or tokenizer, or a damaged file.
        OSError: The disk is full or the folder cannot be written.
    """
    gguf = GgufFile(source)
    config = _config(gguf)
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", _generation_config(gguf, config))
    save_tokenizer(gguf.metadata, source, folder, config["max_position_embeddings"])
    _write_weights(gguf, config, folder / "model.safetensors", progress or Silent())


def _config(gguf: GgufFile) -> dict[str, Any]:
    """The transformers configuration that the metadata describes."""
    metadata = gguf.metadata
    architecture = metadata.get("general.architecture")
    if architecture not in _ARCHITECTURES:
        raise ModelRefused(
            f"{gguf.path}: models of architecture {architecture!r} are not converted, only "
            f"{' and '.join(_ARCHITECTURES)}.",
            hint="Use a safetensors version of the model.",
        )

    def value(name: str) -> Any:
        return metadata[f"{architecture}.{name}"]

    return {
        "architectures": [_ARCHITECTURES[architecture]],
        "model_type": architecture,
        "dtype": "bfloat16",
        "hidden_act": "silu",
        "hidden_size": value("embedding_length"),
        "intermediate_size": value("feed_forward_length"),
        "max_position_embeddings": value("context_length"),
        "num_attention_heads": value("attention.head_count"),
        "num_hidden_layers": value("block_count"),
        "num_key_value_heads": value("attention.head_count_kv"),
        # The file holds the nearest float32; the shortest decimal that gives it back is the published one.
        "rms_norm_eps": float(f"{value('attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_parameters": {"rope_type": "default", "rope_theta": value("rope.freq_base")},
        # llama.cpp writes the output matrix only where it is not the embedding matrix.
        "tie_word_embeddings": "output.weight" not in gguf.tensors,
        "vocab_size": gguf.tensors["token_embd.weight"].shape[0],
        "bos_token_id": metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": metadata.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": metadata.get("tokenizer.ggml.padding_token_id"),
    }


def _generation_config(gguf: GgufFile, config: Mapping[str, Any]) -> dict[str, Any]:
    """Where to stop: the end of a message, or the end of a document, which base training ends texts with."""
    tokens: Sequence[str] = gguf.metadata["tokenizer.ggml.tokens"]
    ends = [config["eos_token_id"]]
    if "<|endoftext|>" in tokens and tokens.index("<|endoftext|>") not in ends:
        ends.append(tokens.index("<|endoftext|>"))
    return {
        "bos_token_id": config["bos_token_id"],
        "eos_token_id": ends,
        "pad_token_id": config["pad_token_id"],
    }


def _published_name(name: str, source: Path) -> str | None:
    """The transformers name of a tensor; None for one that is computed instead of loaded."""
    if name in _OUTSIDE_LAYERS:
        return _OUTSIDE_LAYERS[name]
    if name == "rope_freqs.weight":
        return None
    match name.split("."):
        case ["blk", layer, part, ("weight" | "bias") as kind] if part in _IN_LAYER:
            return f"model.layers.{layer}.{_IN_LAYER[part]}.{kind}"
    raise ModelRefused(f"{source}: the tensor {name} has no place in the model.")


def _write_weights(gguf: GgufFile, config: Mapping[str, Any], target: Path, progress: Progress) -> None:
    names = {name: _published_name(name, gguf.path) for name in gguf.tensors}
    kept = {published: name for name, published in names.items() if published is not None}
    shapes = {published: gguf.tensors[name].shape for published, name in kept.items()}
    total = sum(2 * prod(shape) for shape in shapes.values())
    with task(progress, "Unpacking the weights", total), target.open("wb") as file:
        file.write(_safetensors_header(shapes))
        for name in kept.values():
            for values in _blocks(gguf, name, _heads(config, name)):
                _write_bfloat16(values, file)
                progress.advance(2 * values.size)


def _heads(config: Mapping[str, Any], name: str) -> int:
    """Heads whose rows llama.cpp has interleaved in this tensor; 0 for none. Only Llama's are."""
    part = name.split(".")[2:3] if config["model_type"] == "llama" else []
    if part == ["attn_q"]:
        return int(config["num_attention_heads"])
    return int(config["num_key_value_heads"]) if part == ["attn_k"] else 0


def _blocks(gguf: GgufFile, name: str, heads: int) -> Iterator[Tensor]:
    """The values of a tensor in pieces of about 4 MB: they stay in the processor's cache, twice as fast."""
    shape = gguf.tensors[name].shape
    if heads:
        yield _unpermuted(gguf.read(name), heads)
    elif len(shape) == 1:
        yield gguf.read(name)
    else:
        rows = max(1, _BLOCK_VALUES // prod(shape[1:]))
        for first in range(0, shape[0], rows):
            yield gguf.read(name, first, rows)


def _unpermuted(values: Tensor, heads: int) -> Tensor:
    """Undo llama.cpp's interleaving of rotary pairs in a query or key matrix [rows, columns]."""
    pairs = values.reshape(heads, values.shape[0] // heads // 2, 2, -1)
    return pairs.swapaxes(1, 2).reshape(values.shape)


def _safetensors_header(shapes: Mapping[str, Iterable[int]]) -> bytes:
    """The head of a safetensors file of bfloat16 tensors: length, then JSON padded to 8 bytes.

    The library writes only whole models from memory; the format is fixed and documented
    (github.com/huggingface/safetensors, "Format").
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _write_bfloat16(values: Tensor, file: BinaryIO) -> None:
    """Append values in bfloat16, rounded to nearest, ties to even (the upper half of the float32 bits)."""
    import numpy

    bits = numpy.ascontiguousarray(values).view(numpy.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    file.write(rounded.astype("<u2").tobytes())


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")
