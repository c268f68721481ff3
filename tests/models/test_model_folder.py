"""Folders that are refused, each with a message that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.errors import ModelRefused
from agentkit.models.folder import check_folder, model_kind, weight_files
from tests.models.small_weights import generator_folder, write_safetensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return generator_folder(tmp_path / "model")


def test_a_folder_of_safetensors_is_accepted(folder: Path) -> None:
    check_folder(folder)
    assert weight_files(folder) == (folder / "model.safetensors",)
    assert model_kind(folder) == "generator"


@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin",
        "model.pt",
        "model.pth",
        "weights.pkl",
        "weights.pickle",
        "last.ckpt",
        "tf_model.h5",
        "vectoriser.joblib",
        "modeling_own.py",
        "kernel.so",
        "deeper/inside/Weights.PKL",
    ],
)
def test_a_folder_with_code_or_a_pickle_is_refused(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\x80\x04.")

    with pytest.raises(ModelRefused) as caught:
        check_folder(folder)
    assert str(folder / name) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "1_Part/config.json"])
def test_auto_map_is_refused_wherever_it_is(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    content = {"inner": [{"auto_map": {"AutoModel": "modeling_own.Model"}}]}
    (folder / name).write_text(json.dumps(content))

    with pytest.raises(ModelRefused, match="auto_map") as caught:
        check_folder(folder)
    assert str(folder / name) in str(caught.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (cut, "bytes instead of"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes instead of"),
        (lambda path: path.write_bytes(b""), "does not begin like"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "does not begin like"),
        (lambda path: path.write_bytes(b"\xff" * 100), "does not begin like"),
        (lambda path: path.write_bytes(b"\x04" + bytes(7) + b"[[[["), "head cannot be read"),
        (lambda path: path.write_bytes(b"\x0a" + bytes(7) + b'{"a": 5}  '), "head cannot be read"),
    ],
    ids=["cut", "longer", "empty", "zip", "ones", "json", "form"],
)
def test_damaged_safetensors_are_refused(
    folder: Path, damage: Callable[[Path], None], complaint: str
) -> None:
    damage(folder / "model.safetensors")

    with pytest.raises(ModelRefused, match=complaint) as caught:
        check_folder(folder)
    assert str(folder / "model.safetensors") in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "{" * 100_000, '{"a": ' * 100_000])
def test_a_configuration_that_is_no_json_object_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)

    with pytest.raises(ModelRefused, match=r"config\.json"):
        check_folder(folder)


def test_a_folder_without_weights_or_configuration_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelRefused, match=r"model\.safetensors is missing"):
        check_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelRefused, match=r"no config\.json"):
        check_folder(folder)
    with pytest.raises(ModelRefused, match="not a folder"):
        check_folder(tmp_path / "nothing")


def test_weights_in_pieces_are_found_through_their_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    write_safetensors(folder / "model-1.safetensors", {"a": (2,)})
    with pytest.raises(ModelRefused, match=r"model-2\.safetensors is missing"):
        check_folder(folder)

    write_safetensors(folder / "model-2.safetensors", {"b": (2,)})
    check_folder(folder)
    assert [path.name for path in weight_files(folder)] == ["model-1.safetensors", "model-2.safetensors"]
    cut(folder / "model-2.safetensors")
    with pytest.raises(ModelRefused, match=r"model-2\.safetensors is damaged"):
        check_folder(folder)


@pytest.mark.parametrize(
    "pieces", [{}, [], {"a": "../secret.safetensors"}, {"a": "/etc/x.safetensors"}, {"a": 5}]
)
def test_an_index_that_names_other_files_is_refused(folder: Path, pieces: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": pieces or None}))

    with pytest.raises(ModelRefused, match="names no pieces"):
        check_folder(folder)


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("LlamaForCausalLM", "generator"),
        ("GPT2LMHeadModel", "generator"),
        ("BertModel", "encoder"),
        ("RobertaForMaskedLM", "encoder"),
    ],
)
def test_the_architecture_decides_the_kind(folder: Path, architecture: str, kind: str) -> None:
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    assert model_kind(folder) == kind

    (folder / "modules.json").write_text("[]")
    assert model_kind(folder) == "encoder", "sentence-transformers' mark"


@pytest.mark.parametrize("architectures", [["ViTForImageClassification"], [], None])
def test_a_model_of_neither_kind_is_refused(folder: Path, architectures: object) -> None:
    (folder / "config.json").write_text(json.dumps({"architectures": architectures}))

    with pytest.raises(ModelRefused, match="neither writes text nor makes vectors"):
        model_kind(folder)
