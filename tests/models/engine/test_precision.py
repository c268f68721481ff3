"""The number format: chosen by measurement, kept in the cache, made again when the cache is damaged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from agentkit.errors import ConfigurationError, ModelError
from agentkit.models.engine.network import DecoderNetwork, Feed
from agentkit.models.engine.precision import network_of
from agentkit.models.engine.shape import Shape
from agentkit.models.engine.weights import shape_of
from agentkit.models.folder import ModelFolder
from tests.models.tiny_model import CODEC, tiny_model

SAMPLE = tuple(CODEC.encode_text("Where is my order 1042? It comes on Thursday."))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFolder:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tiny"
    path.mkdir()
    save_file({n: t.clone() for n, t in tiny_model().state_dict().items()}, path / "model.safetensors")
    return ModelFolder(path=path, name="tiny", kind="generator", id="tiny@1")


def shape() -> Shape:
    found = shape_of(tiny_model().config.to_dict())
    assert found is not None
    return found


def logits(network: DecoderNetwork) -> torch.Tensor:
    return network.forward([Feed(SAMPLE, network.new_states(), len(SAMPLE))])


@pytest.mark.parametrize("wanted", ["float32", "bfloat16", "int8", "auto"])
def test_every_number_format_says_about_the_same(folder: ModelFolder, wanted: str) -> None:
    with torch.no_grad():
        exact = tiny_model()(input_ids=torch.tensor([SAMPLE])).logits[0]
    found = logits(network_of(folder, shape(), wanted, SAMPLE))
    assert float((found - exact).norm() / exact.norm()) < (1e-4 if wanted == "float32" else 0.1)


def test_the_choice_and_the_int8_weights_are_kept(folder: ModelFolder, tmp_path: Path) -> None:
    first = logits(network_of(folder, shape(), "int8", SAMPLE))
    network_of(folder, shape(), "auto", SAMPLE)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert {path.name for path in kept} == {"packed.safetensors", "number_format.json"}
    assert torch.equal(logits(network_of(folder, shape(), "int8", SAMPLE)), first)
    network_of(folder, shape(), "auto", SAMPLE)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("packed.safetensors", lambda data: data[:-100]),
        ("packed.safetensors", lambda data: data.replace(b"tiny@1", b"other1")),
        ("number_format.json", lambda data: data[:20]),
        ("number_format.json", lambda data: b"[]"),
    ],
)
def test_a_damaged_cache_file_is_made_again_with_one_line_in_the_log(
    folder: ModelFolder,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: Callable[[bytes], bytes],
) -> None:
    network_of(folder, shape(), "auto", SAMPLE)
    first = logits(network_of(folder, shape(), "int8", SAMPLE))
    (path,) = (tmp_path / "cache").rglob(name)
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        wanted = "int8" if name.startswith("packed") else "auto"
        again = logits(network_of(folder, shape(), wanted, SAMPLE))
    assert len(caplog.records) == 1
    assert name in caplog.text
    if wanted == "int8":
        assert torch.equal(again, first)


def test_a_cache_that_cannot_be_written_is_named(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="cannot be written") as caught:
        network_of(folder, shape(), "int8", SAMPLE)
    assert "AGENTKIT_CACHE" in caught.value.hint


def test_an_unknown_number_format_is_named(folder: ModelFolder) -> None:
    with pytest.raises(ConfigurationError, match="int3"):
        network_of(folder, shape(), "int3", SAMPLE)
