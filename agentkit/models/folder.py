"""What a model folder may hold: data, never code.

A pickle runs code when it is read, and `auto_map` names Python files that transformers would import. Neither
is loaded, and a folder that holds them is refused as a whole, so that nobody takes it for a checked one.
Weights are safetensors, whose head is checked against the size of the file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agentkit.errors import ModelRefused
from agentkit.models.catalogue import ModelKind

_PICKLE: Final = "may be a pickle, which runs code when it is read"
_RUNS_CODE: Final = {
    **dict.fromkeys((".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"), _PICKLE),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "may hold code of Keras layers"),
    **dict.fromkeys((".dll", ".dylib", ".py", ".pyc", ".so"), "is code"),
}
_LONGEST_HEAD: Final = 100_000_000
"""Bytes; the same limit as in the safetensors library."""


@dataclass(frozen=True)
class ModelFolder:
    """A folder of weights that was checked, and what is known of the model.

    Args:
        path: The folder.
        name: The reference it was found by, for messages and traces.
        kind: What the model is for.
        id: Identity of the weights: name and the beginning of a SHA-256.
        dialect: How it writes tool calls; None where that has to be read from its chat template.
        context_length: Most tokens at a time; None where the configuration does not say.
    """

    path: Path
    name: str
    kind: ModelKind
    id: str
    dialect: str | None = None
    context_length: int | None = None


def check_folder(folder: Path) -> None:
    """Make sure that a folder holds a model that can be loaded without running code of others.

    Args:
        folder: A local folder.

    Raises:
        ModelRefused: It has no `config.json` or no safetensors, holds pickles, Python files or `auto_map`, or
            a file is damaged. The message names the file.
    """
    if not folder.is_dir():
        raise ModelRefused(
            f"{folder} is not a folder.", hint="Name a folder with config.json and safetensors."
        )
    for path in sorted(folder.rglob("*")):
        reason = _RUNS_CODE.get(path.suffix.lower())
        if reason is not None:
            raise ModelRefused(
                f"{path} {reason}; the folder is not loaded.",
                hint="Copy the safetensors, JSON and tokenizer files into a folder of their own and name it.",
            )
    read_config(folder)
    for path in folder.rglob("*config*.json"):
        if _holds_key(_read_json(path), "auto_map"):
            raise ModelRefused(
                f"{path} has `auto_map`: the model needs Python code of its repository, which is not run.",
                hint="Use a model that transformers knows by itself.",
            )
    for path in weight_files(folder):
        _check_safetensors(path)


def read_config(folder: Path) -> dict[str, Any]:
    """The content of `config.json`.

    Raises:
        ModelRefused: There is none, or it is not a JSON object.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ModelRefused(
            f"{folder} has no config.json.",
            hint="Name the folder that holds config.json and the safetensors.",
        )
    config = _read_json(path)
    if not isinstance(config, dict):
        raise ModelRefused(f"{path} does not hold a JSON object.", hint="Fetch the model again.")
    return config


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors of a folder: `model.safetensors`, or the pieces that its index names.

    Raises:
        ModelRefused: There are none, or a piece is missing.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        content = _read_json(index)
        pieces = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(pieces, dict) or not all(_is_plain_name(name) for name in pieces.values()):
            raise ModelRefused(f"{index} names no pieces.", hint="Fetch the model again.")
        paths = tuple(folder / name for name in sorted(set(pieces.values())))
    else:
        paths = (folder / "model.safetensors",)
    for path in paths:
        if not path.is_file():
            raise ModelRefused(
                f"{path} is missing.", hint="Only weights in safetensors are loaded. Fetch the model again."
            )
    return paths


def model_kind(folder: Path) -> ModelKind:
    """Whether the model of a folder writes text or makes vectors, by its configuration.

    Raises:
        ModelRefused: The configuration names no architecture, or one of neither kind.
    """
    if (folder / "modules.json").is_file():  # the mark of sentence-transformers
        return "encoder"
    architectures = read_config(folder).get("architectures") or []
    name = str(architectures[0]) if architectures else ""
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return "generator"
    if name.endswith(("Model", "ForMaskedLM")):
        return "encoder"
    raise ModelRefused(
        f"{folder / 'config.json'} names the architecture {name or '(none)'}, which neither writes text nor "
        "makes vectors.",
        hint="Use a causal language model or an encoder of the BERT family.",
    )


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(
            f"{path} cannot be read as JSON ({error}).", hint="Fetch the model again."
        ) from error


def _holds_key(value: Any, key: str) -> bool:
    """Whether a JSON value has `key` in any of its objects."""
    if isinstance(value, dict):
        return key in value or any(_holds_key(one, key) for one in value.values())
    return isinstance(value, list) and any(_holds_key(one, key) for one in value)


def _check_safetensors(path: Path) -> None:
    """Compare the head of a safetensors file with its length."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if not 0 < length <= min(_LONGEST_HEAD, size - 8):
            raise _damaged(path, "it does not begin like a safetensors file")
        head = file.read(length)
    try:
        ends = list(_ends(json.loads(head)))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, f"its head cannot be read ({error!r})") from error
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise _damaged(path, f"it has {size:,} bytes instead of {expected:,}")


def _ends(head: dict[str, Any]) -> Iterator[int]:
    return (int(tensor["data_offsets"][1]) for name, tensor in head.items() if name != "__metadata__")


def _damaged(path: Path, why: str) -> ModelRefused:
    return ModelRefused(f"{path} is damaged or cut off: {why}.", hint="Delete it and fetch the model again.")
