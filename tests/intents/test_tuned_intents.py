"""Tuned layers on a small BERT with random weights: trained, saved, read back, refused when they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from agentkit.errors import ConfigurationError, ModelRefused
from agentkit.intents import IntentExample, IntentModel, train_tuned
from agentkit.models.load import load_encoder
from agentkit.models.protocols import Encoder
from agentkit.testing.encoder import HashingEncoder
from tests.models.test_transformers_encoder import small_bert

WORDS = {
    "order": ["where is my order", "my order", "is the order a"],
    "sofa": ["the sofa", "a sofa is", "is the sofa"],
}


def examples(times: int) -> list[IntentExample]:
    endings = ("", " a", " my", " is", " the a", " where", " my a", " a my", " is is", " a a")
    return [
        IntentExample(text + ending, name)
        for name, texts in WORDS.items()
        for text in texts
        for ending in endings[:times]
    ]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(small_bert(tmp_path_factory.mktemp("bert") / "small-bert")))


@pytest.mark.parametrize("times", [2, 10])
def test_a_tuned_model_is_the_same_after_it_was_saved(encoder: Encoder, tmp_path: Path, times: int) -> None:
    model = train_tuned(examples(times), encoder, layers=1)
    model.save(tmp_path / "model")
    assert (tmp_path / "model" / "encoder.safetensors").is_file()
    loaded = IntentModel.load(tmp_path / "model", encoder)
    texts = ["where is the order", "sofa", "🥨"]
    assert loaded.predict_all(texts, encoder.encode(texts)) == model.predict_all(texts, encoder.encode(texts))
    assert model.predict("my order", encoder.encode(["my order"])[0]).ranking[0][0] == "order"


def test_a_message_alone_says_the_same_as_in_a_batch(encoder: Encoder) -> None:
    model = train_tuned(examples(10), encoder, layers=1)
    texts = ["where is my order", "the sofa", "a"]
    together, _ = model.probabilities(texts, encoder.encode(texts))
    for text, row in zip(texts, together, strict=True):
        alone, _ = model.probabilities([text], encoder.encode([text]))
        numpy.testing.assert_allclose(alone[0], row, atol=1e-4)


def test_damaged_tuned_layers_and_other_encoders_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    model = train_tuned(examples(2), encoder, layers=1)
    model.save(tmp_path / "model")
    with pytest.raises(ConfigurationError, match="were trained with the encoder"):
        IntentModel.load(tmp_path / "model", HashingEncoder())
    path = tmp_path / "model" / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ConfigurationError, match="is damaged"):
        IntentModel.load(tmp_path / "model", encoder)


def test_an_encoder_without_layers_cannot_be_tuned(encoder: Encoder) -> None:
    with pytest.raises(ModelRefused, match="cannot be tuned"):
        train_tuned(examples(2), HashingEncoder())
    with pytest.raises(ConfigurationError, match="9 layers"):
        train_tuned(examples(2), encoder, layers=9)
