"""What can be said of the models of the catalogue without loading one, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentkit.models.catalogue import CatalogueEntry, ModelKind, load_catalogue
from agentkit.models.fetch import is_cached, model_folder
from agentkit.models.manifest import Problem, thorough_problems
from agentkit.models.progress import Progress


@dataclass(frozen=True)
class ModelSummary:
    """A model of the catalogue and the state of its weights.

    Args:
        name: The reference.
        kind: What it is for.
        title: Its maker's name for it.
        licence: SPDX identifier.
        origin: Address of its own page.
        description: One sentence.
        context_length: Most tokens at a time.
        dialect: How it writes tool calls; None for encoders.
        download_size: Bytes to fetch.
        installed_size: Bytes in the cache.
        packages: The packages that carry the weights, with their versions.
        folder: Where the weights are, or will be.
        cached: Whether they are there, by existence and size of the files.
    """

    name: str
    kind: ModelKind
    title: str
    licence: str
    origin: str
    description: str
    context_length: int
    dialect: str | None
    download_size: int
    installed_size: int
    packages: tuple[str, ...]
    folder: Path
    cached: bool


def model_summaries() -> tuple[ModelSummary, ...]:
    """All models of the catalogue, in its order."""
    return tuple(_summary(entry) for entry in load_catalogue().models)


def model_summary(name: str) -> ModelSummary:
    """One model of the catalogue.

    Raises:
        ModelNotFound: There is none of that name; the hint names similar ones.
    """
    return _summary(load_catalogue().entry(name))


def verify_weights(name: str, progress: Progress | None = None) -> tuple[Problem, ...]:
    """What is wrong with the weights of a catalogue model in the cache; every file is hashed.

    Args:
        name: Name of the model.
        progress: Told of the bytes that are hashed.

    Returns:
        Nothing if all is well. Weights that are not in the cache are one problem: the manifest is missing.

    Raises:
        ModelNotFound: There is no such model.
    """
    entry = load_catalogue().entry(name)
    return tuple(thorough_problems(model_folder(entry), entry.source_sha256, progress))


def _summary(entry: CatalogueEntry) -> ModelSummary:
    return ModelSummary(
        name=entry.name,
        kind=entry.kind,
        title=entry.title,
        licence=entry.licence,
        origin=entry.origin,
        description=entry.description,
        context_length=entry.context_length,
        dialect=entry.dialect,
        download_size=entry.download_size,
        installed_size=entry.installed_size,
        packages=tuple(wheel.requirement for wheel in entry.wheels),
        folder=model_folder(entry),
        cached=is_cached(entry),
    )
