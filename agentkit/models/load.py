"""Load a model by its reference. torch and transformers are imported here, when somebody asks for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentkit.errors import AgentKitError, ModelRefused
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
        reference: A name of the catalogue, a folder, a Hugging Face id, or a model on a server that speaks the OpenAI
            chat protocol: `http://localhost:11434/v1#qwen2.5`.
        progress: Told what is fetched.
        dtype: `int8`, `bfloat16`, `float32`, or `auto`: the best one on this machine, measured the first time. A
            server chooses itself.

    Raises:
        ModelNotFound: The reference names no model.
        ModelFetchError: The weights could not be fetched.
        ModelRefused: The model is no generator, or its files are not loaded.
        ModelServerError: The server is not there or lets nobody in.
    """
    if (on_server := _on_server(reference)) is not None:
        try:
            _ = on_server.context_length  # asks the server, so that a missing one is noticed here
        except AgentKitError:
            on_server.close()
            raise
        return on_server
    return _generator(_of_kind(resolve(reference, progress), "generator"), dtype, progress)


def load_generator_lazily(
    reference: str, *, progress: Progress | None = None, dtype: str = "auto"
) -> Generator:
    """A generator whose files are there, but which is loaded only when it is needed (a `LazyGenerator`).

    Arguments and errors are those of `load_generator`; what is found only while loading is raised by the first use. A
    model on a server is there already: the first use connects to it.
    """
    if (on_server := _on_server(reference)) is not None:
        return on_server
    folder = _of_kind(resolve(reference, progress), "generator")
    return LazyGenerator(folder.name, lambda: _generator(folder, dtype, progress))


def _on_server(reference: str) -> Generator | None:
    """The generator of a reference that is a web address; None for any other."""
    if "://" not in reference:
        return None
    from agentkit.models.openai_compatible import ServerGenerator, server_address

    server = server_address(reference)
    return ServerGenerator(server) if server is not None else None


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
