"""From what a person writes to a folder of weights: a catalogue name, a local folder or a Hugging Face id."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from agentkit.errors import ModelNotFound
from agentkit.models.catalogue import CatalogueEntry, ModelKind, load_catalogue
from agentkit.models.fetch import fetch_weights
from agentkit.models.folder import ModelFolder, check_folder, model_kind, read_config, weight_files
from agentkit.models.hub import hub_folder, is_hub_id
from agentkit.models.manifest import read_manifest
from agentkit.models.progress import Progress

_SAMPLES: Final = 16
_SAMPLE_BYTES: Final = 1024 * 1024


def resolve(reference: str, progress: Progress | None = None) -> ModelFolder:
    """Find the weights that a reference names, and fetch them if need be.

    A name of the catalogue comes first, then a folder that exists, then a Hugging Face id.

    Args:
        reference: `qwen2.5-coder-0.5b`, `./my-model`, or `organisation/name[@revision]`.
        progress: Told what is fetched.

    Raises:
        ModelNotFound: It names no model; the hint names similar ones of the catalogue.
        ModelFetchError: The weights could not be fetched.
        ModelRefused: The folder holds something that is not loaded, or is damaged.
    """
    catalogue = load_catalogue()
    entry = catalogue.find(reference)
    if entry is not None:
        return _of_catalogue(entry, fetch_weights(entry, progress))
    path = Path(reference).expanduser()
    if reference.strip() and path.is_dir():
        return _of_folder(path.resolve(), reference)
    if is_hub_id(reference) and not reference.startswith("."):
        return _of_folder(hub_folder(reference, show_progress=progress is not None), reference)
    raise ModelNotFound(
        f"`{reference}` is no model: the catalogue has no such name, there is no such folder, and it has not "
        "the form of a Hugging Face id (organisation/name).",
        hint=catalogue.suggestion(reference),
    )


def _of_catalogue(entry: CatalogueEntry, folder: Path) -> ModelFolder:
    check_folder(folder)
    manifest = read_manifest(folder)
    weights = manifest.weights_sha256 if manifest is not None else entry.source_sha256
    return ModelFolder(
        path=folder,
        name=entry.name,
        kind=entry.kind,
        id=_identity(entry.name, weights),
        dialect=entry.dialect,
        context_length=entry.context_length,
    )


def _of_folder(folder: Path, reference: str) -> ModelFolder:
    check_folder(folder)
    kind = model_kind(folder)
    short_name = reference if is_hub_id(reference) else folder.name
    return ModelFolder(
        path=folder,
        name=reference,
        kind=kind,
        id=_identity(short_name, _fingerprint(weight_files(folder), kind)),
        context_length=_context_length(read_config(folder)),
    )


def _identity(name: str, sha256: str) -> str:
    return f"{name}@{sha256[:12]}"


def _context_length(config: dict[str, Any]) -> int | None:
    text = config.get("text_config")
    length = (text if isinstance(text, dict) else config).get("max_position_embeddings")
    return length if isinstance(length, int) and length > 0 else None


def _fingerprint(paths: Sequence[Path], kind: ModelKind) -> str:
    """Hash of weights that have no manifest.

    Vectors are stored under an encoder's identity, so its files are read whole (90 MB: 0.1 s). A generator
    may have many gigabytes and its identity only tells runs apart: sizes and some megabytes of each file do.
    """
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name} {size} ".encode())
        whole = kind == "encoder" or size <= _SAMPLES * _SAMPLE_BYTES
        with path.open("rb") as file:
            if whole:
                while block := file.read(_SAMPLE_BYTES):
                    digest.update(block)
                continue
            for sample in range(_SAMPLES):
                file.seek((size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
