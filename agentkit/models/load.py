"""Load a model by its reference. torch and transformers are imported here, when somebody asks for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.errors import ModelRefused
from agentkit.models.background import BackgroundGenerator
from agentkit.models.catalogue import ModelKind, load_catalogue
from agentkit.models.resolve import resolve

if TYPE_CHECKING:
    from agentkit.models.folder import ModelFolder
    from agentkit.models.progress import Progress
    from agentkit.models.protocols import Encoder, Generator


def load_generator(
    reference: str, *, progress: Progress | None = None, dtype: str = "auto", wait: bool = True
) -> Generator:
    """Load a generator, fetching its weights if they are not there.

    Args:
        reference: A name of the catalogue, a folder, or a Hugging Face id.
        progress: Told what is fetched.
        dtype: `bfloat16`, `float32`, or `auto`: bfloat16 where the processor computes with it.
        wait: False returns as soon as the files are there; another thread loads them, and who first needs the
            generator waits for it (and gets the error, if they cannot be loaded).

    Raises:
        ModelNotFound: The reference names no model.
        ModelFetchError: The weights could not be fetched.
        ModelRefused: The model is no generator, or its files are not loaded.
    """
    folder = _of_kind(resolve(reference, progress), "generator")

    def load() -> Generator:
        from agentkit.models.transformers_generator import TransformersGenerator

        return TransformersGenerator.load(folder, dtype=dtype)

    return load() if wait else BackgroundGenerator(folder.name, load)


def load_encoder(reference: str, *, progress: Progress | None = None) -> Encoder:
    """Load an encoder, fetching its weights if they are not there.

    Args:
        reference: A name of the catalogue, a folder, or a Hugging Face id.
        progress: Told what is fetched.

    Raises:
        ModelNotFound: The reference names no model.
        ModelFetchError: The weights could not be fetched.
        ModelRefused: The model is no encoder, or its files are not loaded.
    """
    folder = _of_kind(resolve(reference, progress), "encoder")
    from agentkit.models.transformers_encoder import TransformersEncoder

    return TransformersEncoder.load(folder)


def _of_kind(folder: ModelFolder, kind: ModelKind) -> ModelFolder:
    if folder.kind != kind:
        fitting = ", ".join(entry.name for entry in load_catalogue().models if entry.kind == kind)
        raise ModelRefused(
            f"`{folder.name}` is of kind {folder.kind}, and one of kind {kind} is needed here.",
            hint=f"Of this kind the catalogue has: {fitting}.",
        )
    return folder
