"""Intents that are embedded and trained once: a cache whose keys are the content.

An entry is a folder with the trained model. The vectors of the examples are kept by
`agentkit.models.vector_cache.CachedEncoder`, if the encoder is one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentkit.errors import ConfigurationError
from agentkit.intents.examples import IntentExample
from agentkit.intents.model import IntentModel
from agentkit.intents.storage import FORMAT
from agentkit.intents.training import train
from agentkit.intents.training_data import hash_of

if TYPE_CHECKING:
    from agentkit.models.protocols import Encoder

_KEPT: Final = 8
_TRAINING: Final = 2  # grows when training makes something else of the same examples
_ENTRY: Final = re.compile(r"[0-9a-f]{32}")


def train_cached(examples: Sequence[IntentExample], encoder: Encoder, folder: Path | str) -> IntentModel:
    """The model of these examples: read from the cache, or embedded, trained and put there.

    Two processes that start at once train once. The entries used last are kept, older ones are removed.

    Args:
        examples: See `agentkit.intents.train`.
        encoder: Embeds the texts, if the cache has no model of them.
        folder: The cache; may be shared by several bots.

    Raises:
        ConfigurationError: The examples cannot be learned from, or the folder cannot be written.
    """
    from filelock import FileLock

    folder = Path(folder)
    key = f"{FORMAT}.{_TRAINING}\n{encoder.id}\n{hash_of(examples)}"
    entry = folder / hashlib.sha256(key.encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            model = _cached(entry, encoder)
            if model is None:
                vectors = encoder.encode([example.text for example in examples])
                model = train(examples, vectors, encoder.id)
                model.save(entry)
            os.utime(entry)
            _prune(folder)
    except OSError as error:
        raise ConfigurationError(
            f"the cache of trained intents in {folder} cannot be used: {error.strerror or error}",
            hint="check the free space and who may write there",
        ) from error
    return model


def _cached(entry: Path, encoder: Encoder) -> IntentModel | None:
    """The model of an entry; None where it is absent or damaged and has to be made again."""
    if not entry.exists():
        return None
    try:
        return IntentModel.load(entry, encoder)
    except ConfigurationError:
        shutil.rmtree(entry)
        return None


def _prune(folder: Path) -> None:
    entries = [entry for entry in folder.iterdir() if _ENTRY.fullmatch(entry.name)]
    entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[_KEPT:]:
        shutil.rmtree(entry)
