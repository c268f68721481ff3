"""GGUF files written as llama.cpp writes them, unpacked and compared with what they were made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from agentkit.errors import ModelRefused
from agentkit.models.convert import convert_gguf
from agentkit.models.folder import check_folder
from agentkit.models.gguf_file import GgufFile
from agentkit.models.gguf_tokenizer import build_tokenizer
from agentkit.models.pretrained import load_pretrained
from agentkit.models.resolve import resolve
from tests.models.small_weights import (
    CONTROL,
    RecordingProgress,
    random_weights,
    tokenizer_metadata,
    write_gguf,
)


def unpacked(tmp_path: Path, source: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    convert_gguf(source, folder)
    return folder


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_every_weight_comes_back_as_the_nearest_bfloat16(
    tmp_path: Path, architecture: str, tied: bool
) -> None:
    weights = random_weights(architecture, tied=tied)
    write_gguf(tmp_path / "model.gguf", architecture, weights)
    folder = unpacked(tmp_path, tmp_path / "model.gguf")

    stored = load_file(folder / "model.safetensors")
    assert stored.keys() == weights.keys()
    for name, values in weights.items():
        assert torch.equal(stored[name], torch.from_numpy(values).to(torch.bfloat16)), name
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is tied
    check_folder(folder)


def test_quantised_blocks_are_unpacked(tmp_path: Path) -> None:
    name = "model.layers.1.mlp.down_proj.weight"
    weights = random_weights("qwen2", tied=True)
    write_gguf(tmp_path / "model.gguf", "qwen2", weights, quantized=[name])
    folder = unpacked(tmp_path, tmp_path / "model.gguf")

    kind = gguf.GGMLQuantizationType.Q8_0
    expected: NDArray[numpy.float32] = gguf.dequantize(gguf.quantize(weights[name], kind), kind)
    stored = load_file(folder / "model.safetensors")[name]
    assert torch.equal(stored, torch.from_numpy(expected).to(torch.bfloat16))


def test_the_configuration_is_that_of_the_file(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "qwen2", random_weights("qwen2", tied=False))
    folder = unpacked(tmp_path, tmp_path / "model.gguf")

    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["rms_norm_eps"] == 1e-6
    assert config["rope_parameters"] == {"rope_type": "default", "rope_theta": 10000.0}
    assert config["max_position_embeddings"] == 512
    assert config["vocab_size"] == 263
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [259, 257], "the end of a message, then the end of a document"


def test_transformers_loads_the_folder_alone(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    weights = random_weights("llama", tied=False)
    write_gguf(tmp_path / "model.gguf", "llama", weights, splitting="smollm")
    folder = unpacked(tmp_path, tmp_path / "model.gguf")
    (tmp_path / "model.gguf").unlink()

    model = load_pretrained(resolve(str(folder)), "AutoModelForCausalLM", torch.float32)
    assert model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, 263)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer("he<|im_end|>").input_ids == [256, 259]
    assert tokenizer.chat_template == "{{ messages }}"
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")


def test_progress_counts_the_bytes_that_are_written(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "qwen2", random_weights("qwen2", tied=False))
    (tmp_path / "model").mkdir()
    progress = RecordingProgress()
    convert_gguf(tmp_path / "model.gguf", tmp_path / "model", progress)

    ((label, total, done),) = progress.tasks
    assert label == "Unpacking the weights"
    assert total == done
    head = int.from_bytes((tmp_path / "model" / "model.safetensors").read_bytes()[:8], "little")
    assert total == (tmp_path / "model" / "model.safetensors").stat().st_size - 8 - head


def cut(path: Path, keep: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda path: path.write_bytes(b""), "shorter than a header"),
        (lambda path: path.write_bytes(b"x" * 100), "does not begin with the bytes GGUF"),
        (lambda path: path.write_bytes(b"GGUF" + b"\xff" * 100), "version"),
        (lambda path: path.write_bytes(b"GGUF\x03" + b"\0" * 3 + b"\xff" * 100), "head cannot be read"),
        (lambda path: cut(path, 0.01), "head cannot be read"),
        (lambda path: cut(path, 0.9), "cannot be unpacked"),
    ],
    ids=["empty", "other", "version", "nonsense", "head", "cut"],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[Path], None], complaint: str) -> None:
    source = tmp_path / "model.gguf"
    write_gguf(source, "qwen2", random_weights("qwen2", tied=False))
    damage(source)

    with pytest.raises(ModelRefused, match=complaint) as caught:
        unpacked(tmp_path, source)
    assert str(source) in str(caught.value)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "gemma", random_weights("qwen2", tied=False))

    with pytest.raises(ModelRefused, match="architecture 'gemma'"):
        unpacked(tmp_path, tmp_path / "model.gguf")


def test_some_rows_of_a_tensor_are_the_same_as_in_the_whole(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "qwen2", random_weights("qwen2", tied=False))
    file = GgufFile(tmp_path / "model.gguf")

    whole = file.read("token_embd.weight")
    assert numpy.array_equal(file.read("token_embd.weight", 10, 5), whole[10:15])
    assert numpy.array_equal(file.read("token_embd.weight", 260, 5), whole[260:])


def test_tokens_keep_the_ids_of_the_file() -> None:
    metadata = tokenizer_metadata()
    tokenizer = build_tokenizer(metadata, Path("model.gguf"))

    for number, token in enumerate(metadata["tokenizer.ggml.tokens"]):
        expected = None if token.startswith("[PAD") else number
        assert tokenizer.token_to_id(token) == expected, token


def test_control_tokens_are_special_and_tool_tokens_are_kept_by_decoding() -> None:
    tokenizer = build_tokenizer(tokenizer_metadata(), Path("model.gguf"))

    ids = tokenizer.encode("<|im_start|>he<tool_call>").ids
    assert [tokenizer.id_to_token(i) for i in ids] == ["<|im_start|>", "he", "<tool_call>"]
    assert tokenizer.decode(ids) == "he<tool_call>"
    special = {t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special}
    assert special == set(CONTROL)


def test_control_tokens_at_the_beginning_of_the_vocabulary_keep_their_ids() -> None:
    """SmolLM2 has them there, Qwen at the end."""
    metadata = tokenizer_metadata("smollm")
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    metadata["tokenizer.ggml.tokens"] = [*CONTROL, *tokens[:257]]
    metadata["tokenizer.ggml.token_type"] = [3, 3, 3, *kinds[:257]]
    tokenizer = build_tokenizer(metadata, Path("model.gguf"))

    assert tokenizer.encode("<|im_end|>he").ids == [2, 259]


@pytest.mark.parametrize("splitting", ["qwen2", "smollm"])
@pytest.mark.parametrize("text", ["", "hello", "  two  spaces\n\n", "№ 1042: 3 €", "é 日本 😀", "\0\x7f"])
def test_text_survives_the_tokenizer(splitting: str, text: str) -> None:
    tokenizer = build_tokenizer(tokenizer_metadata(splitting), Path("model.gguf"))

    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_numbers_are_split_into_digits() -> None:
    """Both families were trained so; a merge of digits must not apply."""
    for splitting in ("qwen2", "smollm"):
        metadata = tokenizer_metadata(splitting)
        metadata["tokenizer.ggml.tokens"][256] = "10"
        metadata["tokenizer.ggml.merges"] = ["1 0"]
        tokenizer = build_tokenizer(metadata, Path("model.gguf"))
        assert len(tokenizer.encode("1042").ids) == 4, splitting


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [("tokenizer.ggml.model", "llama", "of kind 'llama'"), ("tokenizer.ggml.pre", "tekken", "'tekken'")],
)
def test_a_tokenizer_that_is_not_known_is_refused(field: str, value: str, complaint: str) -> None:
    with pytest.raises(ModelRefused, match=complaint):
        build_tokenizer(tokenizer_metadata() | {field: value}, Path("model.gguf"))
