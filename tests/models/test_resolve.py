"""From a reference to a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentkit.errors import ModelNotFound, ModelRefused
from agentkit.models.hub import is_hub_id
from agentkit.models.load import load_encoder
from agentkit.models.resolve import resolve
from tests.models.small_weights import generator_folder, write_safetensors

REVISION = "0123456789abcdef0123456789abcdef01234567"


def test_a_local_folder_is_described(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "my-model")
    found = resolve(str(folder))

    assert found.path == folder
    assert (found.kind, found.context_length, found.dialect) == ("generator", 128, None)
    assert found.id.startswith("my-model@")


def test_a_relative_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator_folder(tmp_path / "models" / "mine")
    monkeypatch.chdir(tmp_path)

    for reference in ("models/mine", "./models/mine", "models/../models/mine"):
        assert resolve(reference).path == tmp_path / "models" / "mine"


def test_the_identity_follows_the_weights_and_not_the_place(tmp_path: Path) -> None:
    first = resolve(str(generator_folder(tmp_path / "a" / "model")))
    second = resolve(str(generator_folder(tmp_path / "b" / "model")))
    assert first.id == second.id

    write_safetensors(second.path / "model.safetensors", {"lm_head.weight": (4, 5)})
    assert resolve(str(second.path)).id != first.id


@pytest.mark.parametrize(
    "reference", ["", " ", "nothing", "./nothing", "/no/such/folder", "a/b/c", "../x/y", "a b/c"]
)
def test_a_reference_to_nothing_is_an_error_that_lists_names(reference: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        resolve(reference)
    assert "no model" in caught.value.message
    assert "minilm-l6" in caught.value.hint


def test_a_name_almost_right_is_corrected() -> None:
    with pytest.raises(ModelNotFound, match=r"Did you mean `qwen2\.5-coder-0\.5b`"):
        resolve("qwen2.5-coder-0.5")


def test_a_folder_with_a_pickle_is_refused(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "model")
    (folder / "pytorch_model.bin").write_bytes(b"x")

    with pytest.raises(ModelRefused, match="may be a pickle"):
        resolve(str(folder))


def test_a_generator_is_no_encoder(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "model")

    with pytest.raises(ModelRefused, match="kind generator") as caught:
        load_encoder(str(folder))
    assert "minilm-l6" in caught.value.hint


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("org/name", True),
        ("org/name@main", True),
        ("org-1/na.me_2@refs/pr/1", True),
        ("name", False),
        ("a/b/c", False),
        ("/a/b", False),
        ("-a/b", False),
        ("a/b\n", False),
    ],
)
def test_the_form_of_a_hugging_face_id(reference: str, expected: bool) -> None:
    assert is_hub_id(reference) is expected


def hub_cache(home: Path, name: str) -> Path:
    """Lay a model out as Hugging Face's cache does: a reference, a snapshot, links to the files."""
    top = home / "hub" / f"models--{name.replace('/', '--')}"
    (top / "refs").mkdir(parents=True)
    (top / "refs" / "main").write_text(REVISION)
    snapshot = generator_folder(top / "snapshots" / REVISION)
    (top / "blobs").mkdir()
    for path in list(snapshot.iterdir()):
        path.rename(top / "blobs" / path.name)
        path.symlink_to(Path("..") / ".." / "blobs" / path.name)
    return snapshot


def resolved_elsewhere(reference: str, home: Path, **settings: str) -> str:
    """What another process makes of a reference; Hugging Face reads its settings once, at import."""
    program = (
        "import sys\n"
        "from agentkit.errors import AgentKitError\n"
        "from agentkit.models.resolve import resolve\n"
        "try:\n    print(resolve(sys.argv[1]))\n"
        "except AgentKitError as error:\n    print(f'{type(error).__name__}: {error}')\n"
    )
    environment = os.environ | {"HF_HOME": str(home)} | settings
    done = subprocess.run(
        [sys.executable, "-c", program, reference],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def test_a_model_in_the_hugging_face_cache_is_found_offline(tmp_path: Path) -> None:
    snapshot = hub_cache(tmp_path, "org/name")

    for reference in ("org/name", "org/name@main", f"org/name@{REVISION}"):
        found = resolved_elsewhere(reference, tmp_path, HF_HUB_OFFLINE="1")
        assert str(snapshot) in found
        assert "kind='generator'" in found
        assert f"id='{reference}@" in found


def test_a_model_that_is_not_in_the_cache_says_what_was_tried(tmp_path: Path) -> None:
    said = resolved_elsewhere("org/missing", tmp_path, HF_HUB_OFFLINE="1")

    assert said.startswith("ModelNotFound: `org/missing`")
    assert str(tmp_path / "hub") in said
    assert "HF_HUB_OFFLINE" in said


def test_a_hub_that_does_not_answer_is_named(tmp_path: Path) -> None:
    said = resolved_elsewhere("org/missing", tmp_path, HF_HUB_OFFLINE="0", HF_ENDPOINT="http://127.0.0.1:9")

    assert said.startswith("ModelNotFound: `org/missing`")
    assert "http://127.0.0.1:9" in said


def test_an_incomplete_model_in_the_cache_is_not_used(tmp_path: Path) -> None:
    snapshot = hub_cache(tmp_path, "org/name")
    (snapshot / "model.safetensors").unlink()

    said = resolved_elsewhere("org/name", tmp_path, HF_HUB_OFFLINE="1")
    assert said.startswith("ModelRefused")
    assert "model.safetensors is missing" in said


def test_a_pickle_in_the_hugging_face_cache_is_refused(tmp_path: Path) -> None:
    snapshot = hub_cache(tmp_path, "org/name")
    (snapshot / "pytorch_model.bin").write_bytes(b"x")

    assert resolved_elsewhere("org/name", tmp_path, HF_HUB_OFFLINE="1").startswith("ModelRefused")
