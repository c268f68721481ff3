"""The models of the catalogue themselves, from the cache or fetched now."""

from __future__ import annotations

import json

import numpy
import pytest
import torch

from agentkit.models.describe import model_summary, verify_weights
from agentkit.models.load import load_encoder
from agentkit.models.pretrained import load_pretrained
from agentkit.models.resolve import resolve

pytestmark = pytest.mark.weights


@pytest.mark.parametrize("name", ["smollm2-135m", "minilm-l6", "qwen2.5-coder-0.5b"])
def test_the_weights_are_what_the_catalogue_says(name: str) -> None:
    folder = resolve(name)
    summary = model_summary(name)

    assert summary.cached
    assert folder.path == summary.folder
    assert verify_weights(name) == ()
    size = sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file())
    assert abs(size - summary.installed_size) < 10_000
    config = json.loads((folder.path / "config.json").read_text())
    assert config["max_position_embeddings"] >= summary.context_length


def test_minilm_knows_what_is_alike() -> None:
    encoder = load_encoder("minilm-l6")
    vectors = encoder.encode(["Where is my parcel?", "Has my order been shipped?", "Do you sell gift cards?"])
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])

    assert encoder.dimension == 384
    assert near > far + 0.2


def test_minilm_gives_the_published_vectors() -> None:
    """First numbers of "This is an example sentence" as the model's own page computes them."""
    (vector,) = load_encoder("minilm-l6").encode(["This is an example sentence"])
    numpy.testing.assert_allclose(vector[:4], [0.06765690, 0.06349580, 0.04871305, 0.07930496], atol=1e-4)


def test_smollm2_answers_greedily() -> None:
    """Wrong conversion (a permutation, a transposition, a tied matrix) would give noise."""
    from transformers import AutoTokenizer

    folder = resolve("smollm2-135m")
    model = load_pretrained(folder, "AutoModelForCausalLM", torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder.path)
    question = [{"role": "user", "content": "What is the capital of France? One short sentence."}]
    prompt = str(tokenizer.apply_chat_template(question, add_generation_prompt=True, tokenize=False))
    ids = torch.tensor([tokenizer.encode(prompt)])
    written = model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]

    assert tokenizer.decode(written, skip_special_tokens=True) == "The capital of France is Paris."


def test_qwen_has_its_own_output_matrix_and_its_control_tokens() -> None:
    from safetensors import safe_open
    from tokenizers import Tokenizer

    folder = resolve("qwen2.5-coder-0.5b").path
    config = json.loads((folder / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    with safe_open(folder / "model.safetensors", "pt") as weights:
        shape = weights.get_slice("lm_head.weight").get_shape()
        assert shape == weights.get_slice("model.embed_tokens.weight").get_shape() == [151936, 896]

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    published = {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645, "<tool_call>": 151657}
    assert {token: tokenizer.token_to_id(token) for token in published} == published
    assert tokenizer.get_vocab_size() == 151665
    assert "<tools>" in (folder / "chat_template.jinja").read_text("utf-8")
