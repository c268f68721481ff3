"""Intents that are embedded and trained once: a cache whose keys are the content.

An entry is a folder with the trained model and the vectors of its examples by the hash of their text, so that
an author who changes three of a thousand examples waits for three to be embedded.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import ConfigurationError
from agentkit.intents.examples import IntentExample
from agentkit.intents.model import FORMAT, IntentModel
from agentkit.intents.training import hash_of, train

if TYPE_CHECKING:
    from agentkit.intents.head import Floats
    from agentkit.models.protocols import Encoder

_KEPT: Final = 8
_VECTORS_FILE: Final = "vectors.safetensors"
_ENTRY: Final = re.compile(r"[0-9a-f]{32}")


def train_cached(examples: Sequence[IntentExample], encoder: Encoder, folder: Path | str) -> IntentModel:
    """The model of these examples: read from the cache, or embedded, trained and put there.

    Two processes that start at once train once. The entries used last are kept, older ones are removed.

    Args:
        examples: See `agentkit.intents.train`.
        encoder: Embeds the texts that the cache has no vector of.
        folder: The cache; may be shared by several bots.

    Raises:
        ConfigurationError: The examples cannot be learned from, or the folder cannot be written.
    """
    from filelock import FileLock

    folder = Path(folder)
    key = f"{FORMAT}\n{encoder.id}\n{hash_of(examples)}"
    entry = folder / hashlib.sha256(key.encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            model = _cached(entry, encoder.id)
            if model is None:
                vectors = _embed([example.text for example in examples], encoder, _known(folder, encoder.id))
                model = train(examples, vectors, encoder.id)
                model.save(entry)
                _write_vectors(entry / _VECTORS_FILE, examples, vectors, encoder.id)
            os.utime(entry)
            _prune(folder)
    except OSError as error:
        raise ConfigurationError(
            f"the cache of trained intents in {folder} cannot be used: {error.strerror or error}",
            hint="check the free space and who may write there",
        ) from error
    return model


def _cached(entry: Path, encoder_id: str) -> IntentModel | None:
    """The model of an entry; None where it is absent or damaged and has to be made again."""
    if not entry.exists():
        return None
    try:
        return IntentModel.load(entry, encoder_id)
    except ConfigurationError:
        shutil.rmtree(entry)
        return None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _embed(texts: list[str], encoder: Encoder, known: dict[bytes, Floats]) -> Floats:
    """Vectors of all texts, float32 [n, d]; the encoder sees each unknown text once."""
    unknown = list(dict.fromkeys(text for text in texts if _digest(text) not in known))
    if unknown:
        for text, vector in zip(unknown, encoder.encode(unknown), strict=True):
            known[_digest(text)] = vector
    empty = numpy.zeros((0, encoder.dimension), dtype=numpy.float32)
    return numpy.stack([known[_digest(text)] for text in texts]) if texts else empty


def _known(folder: Path, encoder_id: str) -> dict[bytes, Floats]:
    """Vectors of this encoder in all entries, by the digest of their text."""
    from safetensors import SafetensorError, safe_open

    known: dict[bytes, Floats] = {}
    for path in folder.glob(f"*/{_VECTORS_FILE}"):
        try:
            with safe_open(path, framework="numpy") as file:
                if (file.metadata() or {}).get("encoder_id") != encoder_id:
                    continue
                digests, vectors = file.get_tensor("digests"), file.get_tensor("vectors")
        except SafetensorError:
            continue  # damaged: what it held is embedded again
        known.update((digest.tobytes(), vector) for digest, vector in zip(digests, vectors, strict=True))
    return known


def _write_vectors(path: Path, examples: Sequence[IntentExample], vectors: Floats, encoder_id: str) -> None:
    from safetensors.numpy import save_file

    digests = numpy.frombuffer(b"".join(_digest(example.text) for example in examples), dtype=numpy.uint8)
    fresh = path.with_suffix(".partial")
    table = digests.reshape(len(examples), -1)
    save_file({"digests": table, "vectors": vectors}, fresh, metadata={"encoder_id": encoder_id})
    fresh.replace(path)


def _prune(folder: Path) -> None:
    entries = [entry for entry in folder.iterdir() if _ENTRY.fullmatch(entry.name)]
    entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[_KEPT:]:
        shutil.rmtree(entry)
