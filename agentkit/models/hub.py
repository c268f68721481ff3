"""Models named by a Hugging Face id, kept in Hugging Face's own cache like everybody else's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from agentkit.errors import ModelFetchError, ModelNotFound, ModelRefused
from agentkit.models.folder import read_config, weight_files

_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")
_WANTED: Final = (
    "*.safetensors",
    "*.safetensors.index.json",
    "1_Pooling/config.json",
    "added_tokens.json",
    "chat_template*",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer*.json",
    "tokenizer.model",
    "vocab.*",
)
_UNWANTED: Final = ("*/*.safetensors", "consolidated*", "*.py")


def is_hub_id(reference: str) -> bool:
    """Whether a reference has the form `organisation/name` or `organisation/name@revision`."""
    return _ID.fullmatch(reference) is not None


def hub_folder(reference: str, *, show_progress: bool = False) -> Path:
    """The folder of a Hugging Face model, fetched if the cache does not hold all of it.

    A model that is in the cache is used as it is, without asking the network for a newer one; `HF_HOME`,
    `HF_HUB_OFFLINE`, `HF_ENDPOINT` and `HF_TOKEN` mean what they always mean.

    Args:
        reference: `organisation/name`, or `organisation/name@revision` for a branch, tag or commit.
        show_progress: Whether the hub's own progress bars are shown while fetching.

    Raises:
        ModelNotFound: No such model, no access to it, or it is not in the cache and the hub does not answer.
        ModelFetchError: It could not be stored.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _snapshot(reference, offline=True)
        read_config(folder)
        weight_files(folder)
    except (LocalEntryNotFoundError, ModelRefused):
        return _fetch(reference, show_progress)
    return folder


def _snapshot(reference: str, *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download

    name, _, revision = reference.partition("@")
    found = snapshot_download(
        name,
        revision=revision or None,
        allow_patterns=list(_WANTED),
        ignore_patterns=list(_UNWANTED),
        local_files_only=offline,
    )
    return Path(found)


def _fetch(reference: str, show_progress: bool) -> Path:
    """Ask the hub; what it answers instead of a model becomes an error that says what was tried."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    tried = f"Tried: the cache {constants.HF_HUB_CACHE}, then {constants.ENDPOINT}."
    silenced = not show_progress and not are_progress_bars_disabled()
    if silenced:
        disable_progress_bars()
    try:
        return _snapshot(reference, offline=False)
    except GatedRepoError as error:
        raise ModelNotFound(
            f"Hugging Face does not let you have `{reference}`. {tried}",
            hint="Accept the licence on the model's page and log in with `hf auth login`, or set HF_TOKEN.",
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise ModelNotFound(
            f"Hugging Face has no model `{reference}`, or it is private. {tried}",
            hint="Check the spelling and the revision; for a private model, log in with `hf auth login`.",
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError) as error:
        raise ModelNotFound(
            f"`{reference}` is neither a folder here nor in Hugging Face's cache, and the hub did not "
            f"answer: {_first_line(error)}\n"
            f"  {tried}",
            hint="Check the network, the proxy and HF_HUB_OFFLINE, or use a model of the catalogue, whose "
            "weights come from the package index.",
        ) from error
    except OSError as error:
        raise ModelFetchError(
            f"`{reference}` could not be stored in {constants.HF_HUB_CACHE}: {error}.",
            hint="Free space or make the folder writable, or name another one in HF_HOME.",
        ) from error
    finally:
        if silenced:
            enable_progress_bars()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
