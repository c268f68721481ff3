"""Reading a checked folder with transformers: quietly, from this disk only, and not one weight missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from agentkit.errors import ModelRefused
from agentkit.models.folder import ModelFolder

if TYPE_CHECKING:
    import torch


def load_pretrained(
    folder: ModelFolder,
    auto_class: Literal["AutoModel", "AutoModelForCausalLM"],
    dtype: torch.dtype,
    *,
    unused: tuple[str, ...] = (),
) -> Any:
    """The model of a folder, ready for inference.

    Args:
        folder: A folder that `check_folder` accepted.
        auto_class: Which head the model gets.
        dtype: What the weights are kept in.
        unused: Beginnings of the names of weights that may be missing, because nobody uses them.

    Raises:
        ModelRefused: transformers does not know the model, or weights are missing or of another shape. (By
            itself it fills them with random numbers and says so in a log.)
    """
    with quiet_transformers():
        import transformers

        try:
            model, report = getattr(transformers, auto_class).from_pretrained(
                folder.path,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation="sdpa",
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelRefused(
                f"{folder.path} cannot be loaded: {error}",
                hint="Use a model that transformers knows by itself.",
            ) from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(unused))
    if missing or report["mismatched_keys"]:
        names = ", ".join(missing or [str(key[0]) for key in report["mismatched_keys"]])
        raise ModelRefused(
            f"{folder.path}: weights are missing, or their shape is not that of the configuration: "
            f"{names[:300]}",
            hint="The folder is incomplete, or its config.json belongs to another model.",
        )
    return model.eval()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and remarks off the terminal; errors are raised as ever."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    shown = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
