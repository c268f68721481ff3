"""The encoder, on a small BERT with random weights."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing

from agentkit.errors import ModelError, ModelRefused
from agentkit.models.load import load_encoder
from agentkit.models.protocols import Encoder
from agentkit.models.transformers_encoder import TransformersEncoder

WORDS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "where",
    "is",
    "my",
    "order",
    "a",
    "##b",
    "the",
    "sofa",
    "[",
    "]",
    "sep",
)


def small_bert(folder: Path, *, seed: int = 0) -> Path:
    """Save a BERT of two layers, 32 dimensions and 15 words as sentence-transformers do."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.enable_padding(length=40)  # as the published file of MiniLM has it
    tokenizer.save(str(folder / "tokenizer.json"))
    write(
        folder / "modules.json",
        [{"type": f"sentence_transformers.models.{m}"} for m in ("Transformer", "Pooling")],
    )
    write(folder / "sentence_bert_config.json", {"max_seq_length": 16})
    write(
        folder / "1_Pooling" / "config.json",
        {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
    )
    return folder


def write(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bert(tmp_path_factory.mktemp("bert") / "small-bert")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    import shutil

    return Path(shutil.copytree(folder, tmp_path / "small-bert"))


def loaded(folder: Path) -> TransformersEncoder:
    encoder = load_encoder(str(folder))
    assert isinstance(encoder, TransformersEncoder)
    return encoder


def forward_passes(encoder: TransformersEncoder) -> list[int]:
    """A list that grows by the number of texts of each forward pass."""
    sizes: list[int] = []
    encoder._model.register_forward_hook(lambda model, args, output: sizes.append(len(output[0])))
    return sizes


@pytest.fixture(scope="module")
def encoder(folder: Path) -> TransformersEncoder:
    return loaded(folder)


def test_it_is_an_encoder(encoder: TransformersEncoder) -> None:
    assert isinstance(encoder, Encoder)
    assert encoder.dimension == 32
    assert encoder.id.startswith("small-bert@")


def test_vectors_have_length_one_and_the_order_of_the_texts(encoder: TransformersEncoder) -> None:
    texts = ["where is my order", "the sofa", "a", "where is my order"]
    vectors = encoder.encode(texts)

    assert vectors.shape == (4, 32)
    assert vectors.dtype == numpy.float32
    numpy.testing.assert_allclose(numpy.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert numpy.array_equal(vectors[0], vectors[3])
    for text, vector in zip(texts, vectors, strict=True):
        assert numpy.array_equal(encoder.encode([text])[0], vector)


def test_no_texts_make_an_empty_array(encoder: TransformersEncoder) -> None:
    assert encoder.encode([]).shape == (0, 32)


def test_the_vector_is_the_mean_of_the_token_vectors(folder: Path, encoder: TransformersEncoder) -> None:
    from transformers import BertModel

    model = BertModel.from_pretrained(folder)
    model.train(False)
    with torch.no_grad():
        hidden = model(torch.tensor([[2, 4, 5, 3]])).last_hidden_state[0]  # [CLS] where is [SEP]
    expected = torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy()

    numpy.testing.assert_allclose(encoder.encode(["Where is"])[0], expected, atol=1e-6)


def test_the_first_token_is_taken_where_the_folder_says_so(
    copied: Path, encoder: TransformersEncoder
) -> None:
    write(
        copied / "1_Pooling" / "config.json",
        {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True},
    )

    assert not numpy.allclose(loaded(copied).encode(["where is"]), encoder.encode(["where is"]))


def test_a_text_alone_and_in_a_batch_has_the_same_vector(folder: Path) -> None:
    texts = [" ".join(["where", "is", "my", "order", "sofa"][: 1 + n % 5]) + " a" * n for n in range(30)]
    together = loaded(folder).encode(texts)
    alone = loaded(folder)

    for text, vector in zip(texts, together, strict=True):
        numpy.testing.assert_allclose(alone.encode([text])[0], vector, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        "\ud800",
        "a\udfff\ud800b",
        "😀" * 50,
        "{{7*7}}",
        "<|im_start|>system",
        "\u202e\ufeff",
        "x" * 1000,
    ],
    ids=ascii,
)
def test_any_text_has_a_vector(encoder: TransformersEncoder, text: str) -> None:
    vector = encoder.encode([text])[0]

    assert numpy.isfinite(vector).all()
    assert abs(float(numpy.linalg.norm(vector)) - 1) < 1e-5


@given(texts=st.lists(st.text(st.characters()), max_size=5))
def test_any_texts_have_vectors(encoder: TransformersEncoder, texts: list[str]) -> None:
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), 32)
    assert numpy.isfinite(vectors).all()


@pytest.mark.parametrize("unit", ["order ", "x", " ", "a b "])
def test_a_megabyte_is_cut_at_the_limit(encoder: TransformersEncoder, unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    assert numpy.isfinite(encoder.encode([text])).all()


def test_only_the_first_tokens_of_a_long_text_count(encoder: TransformersEncoder) -> None:
    start = "order " * 14  # with [CLS] and [SEP] the limit of 16

    assert numpy.array_equal(encoder.encode([start]), encoder.encode([start + "sofa " * 100_000]))
    assert not numpy.allclose(encoder.encode([start]), encoder.encode(["sofa " + start]))


def test_words_after_much_white_space_are_read(encoder: TransformersEncoder) -> None:
    assert numpy.array_equal(encoder.encode(["order"]), encoder.encode([" " * 100_000 + "order"]))


def test_a_control_token_in_a_text_is_text(encoder: TransformersEncoder) -> None:
    assert numpy.array_equal(encoder.encode(["a [SEP] a"]), encoder.encode(["a [ sep ] a"]))


def test_a_text_is_embedded_once(folder: Path) -> None:
    encoder = loaded(folder)
    sizes = forward_passes(encoder)
    encoder.encode(["order", "sofa", "order"])
    encoder.encode(["sofa"])
    encoder.encode(["order", "where"])

    assert sizes == [2, 1]


def test_what_is_changed_in_a_result_is_not_remembered(folder: Path) -> None:
    encoder = loaded(folder)
    first = encoder.encode(["order"])
    kept = first.copy()
    first[:] = 0

    assert numpy.array_equal(encoder.encode(["order"]), kept)


def test_only_the_last_texts_are_remembered(folder: Path) -> None:
    encoder = loaded(folder)
    encoder.encode([f"order {number}" for number in range(3000)])

    assert len(encoder._recent) == 2048


def test_threads_share_an_encoder(folder: Path) -> None:
    encoder = loaded(folder)
    sizes = forward_passes(encoder)
    texts = ["where is my order", "the sofa", "a" * 30]
    expected = loaded(folder).encode(texts)
    results: list[bool] = []

    def work(turn: int) -> None:
        for step in range(10):
            pick = (turn + step) % len(texts)
            results.append(numpy.allclose(encoder.encode([texts[pick]])[0], expected[pick], atol=1e-6))

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80
    assert sum(sizes) == len(texts), "no text was embedded twice"


def test_a_closed_encoder_says_so(folder: Path) -> None:
    encoder = loaded(folder)
    encoder.encode(["order"])
    encoder.close()

    with pytest.raises(ModelError, match="was closed"):
        encoder.encode(["order"])


def test_loading_prints_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded(folder)
    assert capfd.readouterr() == ("", "")


def test_other_weights_have_another_identity(encoder: TransformersEncoder, tmp_path: Path) -> None:
    other = loaded(small_bert(tmp_path / "small-bert", seed=1))
    assert other.id.partition("@")[0] == "small-bert"
    assert other.id != encoder.id


def forget_a_layer(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: values for name, values in weights.items() if ".layer.1." not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def widen(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    write(folder / "config.json", config | {"intermediate_size": 64})


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (forget_a_layer, "weights are missing"),
        (widen, r"shape|mismatch|size"),
        (lambda f: (f / "tokenizer.json").unlink(), r"tokenizer\.json is missing"),
        (lambda f: (f / "tokenizer.json").write_text("{"), r"tokenizer\.json cannot be read"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), r"tokenizer\.json cannot be read"),
        (lambda f: write(f / "1_Pooling" / "config.json", {"pooling_mode_max_tokens": True}), "max_tokens"),
        (lambda f: write(f / "modules.json", [{"type": "sentence_transformers.models.Dense"}]), "Dense"),
        (lambda f: (f / "sentence_bert_config.json").write_text("{"), "cannot be read as JSON"),
        (
            lambda f: write(f / "config.json", {"architectures": ["NewModel"], "model_type": "new"}),
            "cannot be loaded",
        ),
    ],
    ids=["layer", "shape", "no-tokenizer", "half-tokenizer", "tokenizer", "pooling", "dense", "json", "type"],
)
def test_a_folder_that_would_give_other_vectors_is_refused(
    copied: Path, damage: Callable[[Path], None], complaint: str
) -> None:
    damage(copied)

    with pytest.raises(ModelRefused, match=complaint) as caught:
        loaded(copied)
    assert str(copied) in str(caught.value)
