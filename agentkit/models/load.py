"""Load a model by its reference. torch and transformers are imported here, when somebody asks for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.errors import ModelRefused
from agentkit.models.catalogue import ModelKind, load_catalogue
from agentkit.models.lazy_generator import LazyGenerator
from agentkit.models.resolve import resolve

if TYPE_CHECKING:
    from agentkit.models.folder import ModelFolder
    from agentkit.models.progress import Progress
    from agentkit.models.protocols import Encoder, Generator


def load_generator(reference: str, *, progress: Progress | None = None, dtype: str = "auto") -> Generator:
    """Load a generator, fetching its weights if they are not there.

    Args:
        reference: A name of the catalogue, a folder, or a Hugging Face id.
        progress: Told what is fetched.
        dtype: `int8`, `bfloat16`, `float32`, or `auto`: the best one on this machine, measured the first time.

    Raises:
        ModelNotFound: The reference names no model.
        ModelFetchError: The weights could not be fetched.
        ModelRefused: The model is no generator, or its files are not loaded.
    """
    return _generator(_of_kind(resolve(reference, progress), "generator"), dtype, progress)


def load_generator_lazily(
    reference: str, *, progress: Progress | None = None, dtype: str = "auto"
) -> LazyGenerator:
    """A generator whose files are there, but which is loaded only when it is needed or `start_loading` is called.

    Arguments and errors are those of `load_generator`; what is found only while loading is raised by the first use.
    """
    folder = _of_kind(resolve(reference, progress), "generator")
    return LazyGenerator(folder.name, lambda: _generator(folder, dtype, progress))


def _generator(folder: ModelFolder, dtype: str, progress: Progress | None) -> Generator:
    from agentkit.models.local_generator import LocalGenerator

    return LocalGenerator.load(folder, dtype=dtype, progress=progress)


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
