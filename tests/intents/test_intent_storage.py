"""A trained model in a folder: safetensors and JSON, refused when it does not fit or is damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import pytest

from agentkit.errors import ConfigurationError
from agentkit.intents import IntentExample, IntentModel, train, train_cached
from agentkit.testing.encoder import HashingEncoder
from tests.intents.phrases import bakery

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors


class CountingEncoder(HashingEncoder):
    """Counts how often it is asked."""

    def __init__(self, dimension: int = 256) -> None:
        super().__init__(dimension)
        self.passes = 0
        self.texts = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.passes += 1
        self.texts += len(texts)
        return super().encode(texts)


@pytest.fixture(scope="module")
def model() -> IntentModel:
    encoder = HashingEncoder()
    examples = bakery(strangers=6)
    return train(examples, encoder.encode([example.text for example in examples]), encoder.id)


def test_a_saved_model_predicts_the_same(model: IntentModel, tmp_path: Path) -> None:
    model.save(tmp_path / "deep" / "model")
    loaded = IntentModel.load(tmp_path / "deep" / "model", HashingEncoder())
    texts = ["are you open on sunday", "zebra quantum", "", "order a cake"]
    vectors = HashingEncoder().encode(texts)
    assert loaded.predict_all(texts, vectors) == model.predict_all(texts, vectors)
    assert (loaded.labels, loaded.figures, loaded.data_hash) == (model.labels, model.figures, model.data_hash)
    assert sorted(path.name for path in (tmp_path / "deep" / "model").iterdir()) == [
        "intents.json",
        "intents.safetensors",
    ]
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "model"]


def test_saving_again_replaces_the_earlier_model(model: IntentModel, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old.txt").write_text("old")
    model.save(tmp_path / "model")
    model.save(tmp_path / "model")
    assert not (tmp_path / "model" / "old.txt").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_a_changed_encoder_is_refused(model: IntentModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    with pytest.raises(ConfigurationError, match=r"encoder `hashing-256`, not with `hashing-128`") as caught:
        IntentModel.load(tmp_path / "model", HashingEncoder(128))
    assert "train again" in caught.value.hint


def change_json(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "intents.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def truncate(folder: Path) -> None:
    path = folder / "intents.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_byte(folder: Path) -> None:
    path = folder / "intents.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-7] ^= 1
    path.write_bytes(bytes(raw))


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: (folder / "intents.json").unlink(), "holds no trained intents"),
    (lambda folder: (folder / "intents.safetensors").unlink(), "cannot be read"),
    (lambda folder: (folder / "intents.json").write_text("{"), "is damaged"),
    (lambda folder: (folder / "intents.json").write_bytes(b"\xff\xfe"), "is damaged"),
    (truncate, "is damaged: its hash"),
    (flip_a_byte, "is damaged: its hash"),
    (change_json(format=99), "is damaged: format"),
    (change_json(surprise=1), "is damaged: surprise"),
    (change_json(labels=["one"]), "does not hold the weights"),
    (change_json(threshold="high"), "is damaged: threshold"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_damaged_folder_is_refused(
    model: IntentModel, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    model.save(tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises(ConfigurationError, match=message) as caught:
        IntentModel.load(tmp_path / "model", HashingEncoder())
    assert str(tmp_path / "model") in caught.value.message
    assert caught.value.hint


def test_a_folder_that_cannot_be_made_is_named(model: IntentModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be saved"):
        model.save(tmp_path / "file" / "model")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        train_cached(bakery(), HashingEncoder(), tmp_path / "file")


def test_examples_are_embedded_once(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    first = train_cached(bakery(), encoder, tmp_path)
    again = train_cached(bakery(), encoder, tmp_path)
    assert encoder.passes == 1
    assert numpy.array_equal(first.head.weight, again.head.weight)


def test_other_examples_or_another_encoder_train_anew(tmp_path: Path) -> None:
    encoder, other = CountingEncoder(), CountingEncoder(128)
    train_cached(bakery(), encoder, tmp_path)
    train_cached([*bakery(), IntentExample("one more cake", "order_cake")], encoder, tmp_path)
    train_cached(bakery(), other, tmp_path)
    assert (encoder.passes, other.passes) == (2, 1)


def test_a_damaged_cache_entry_is_made_again(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    train_cached(bakery(), encoder, tmp_path)
    (entry,) = (path for path in tmp_path.iterdir() if path.is_dir())
    truncate(entry)
    train_cached(bakery(), encoder, tmp_path)
    assert encoder.passes == 2
    assert IntentModel.load(entry, encoder).labels


def test_cache_entries_that_were_not_used_for_long_are_removed(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    used = bakery()
    train_cached(used, encoder, tmp_path)
    for number in range(8):
        train_cached([*used, IntentExample(f"cake {number}", "order_cake")], encoder, tmp_path)
        for entry in tmp_path.iterdir():
            if entry.is_dir():
                os.utime(entry, (entry.stat().st_atime, entry.stat().st_mtime - 10))
        train_cached(used, encoder, tmp_path)
    (tmp_path / "notes").mkdir()
    counting = CountingEncoder()
    train_cached(used, counting, tmp_path)
    assert counting.passes == 0
    assert len([path for path in tmp_path.iterdir() if path.is_dir() and path.name != "notes"]) == 8
    assert (tmp_path / "notes").exists()


def test_two_processes_that_start_at_once_train_once(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    program = Path(__file__).with_name("train_slowly.py")
    command = [sys.executable, str(program), str(tmp_path / "cache"), str(tmp_path / "marks")]
    workers = [subprocess.Popen(command) for _ in range(2)]
    assert [worker.wait(timeout=200) for worker in workers] == [0, 0]
    assert len(list((tmp_path / "marks").iterdir())) == 1
