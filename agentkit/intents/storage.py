"""The folder of a trained model: safetensors for numbers, JSON for the rest, a hash of everything.

intents.json            labels, gate, threshold, encoder, hashes, training figures
intents.safetensors     head, examples, means, rarity of n-grams
encoder.safetensors     upper layers of the encoder, if they were tuned
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy
from pydantic import ValidationError

from agentkit.errors import ConfigurationError, ModelRefused
from agentkit.intents.features import Features
from agentkit.intents.head import Head
from agentkit.intents.lexical import BUCKETS, WIDTH, Lexicon
from agentkit.intents.model import IntentModel, TrainingFigures
from agentkit.intents.scope import Gate, Measure, Surroundings
from agentkit.messages import Value

if TYPE_CHECKING:
    from agentkit.intents.head import Floats
    from agentkit.models.protocols import Encoder
    from agentkit.models.tuned_encoder import TunedEncoder

FORMAT: Final = 2
"""Version of the folder's layout and of what the numbers mean; raised when an old folder must not be used."""

MODEL_FILE: Final = "intents.json"
WEIGHTS_FILE: Final = "intents.safetensors"
ENCODER_FILE: Final = "encoder.safetensors"

_TENSORS: Final = frozenset({"weight", "bias", "examples", "means"})
_TRAIN_AGAIN: Final = "delete the folder and train again"


class _GateValues(Value):
    measures: tuple[Measure, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float


class ModelFile(Value):
    """Layout of `intents.json`."""

    format: Literal[2]
    encoder: str
    encoder_id: str
    tuned_sha256: str | None
    labels: tuple[str, ...]
    lexical_weight: float
    temperature: float
    threshold: float
    gate: _GateValues
    data_hash: str
    weights_sha256: str
    figures: TrainingFigures


def save(model: IntentModel, folder: Path) -> None:
    """See `IntentModel.save`."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        try:
            _write(model, fresh)
            _put_in_place(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise ConfigurationError(
            f"the intents cannot be saved to {folder}: {error.strerror or error}",
            hint="check the free space and who may write there",
        ) from error


def load(folder: Path, encoder: Encoder) -> IntentModel:
    """See `IntentModel.load`."""
    content = read_model_file(folder)
    if content.encoder_id != encoder.id:
        raise ConfigurationError(
            f"the intents in {folder} were trained with the encoder `{content.encoder_id}`, "
            f"not with `{encoder.id}`",
            hint="train again with this encoder, or go back to the other one",
        )
    tuned = None
    if content.tuned_sha256 is not None:
        tuned = _tuned(folder / ENCODER_FILE, encoder, content.tuned_sha256)
    tensors = _read_tensors(folder, content, encoder.dimension)
    rarity = tensors.get("rarity")
    gate = content.gate
    return IntentModel(
        labels=content.labels,
        features=Features(None if rarity is None else Lexicon(rarity), content.lexical_weight, tuned),
        head=Head(tensors["weight"], tensors["bias"]),
        temperature=content.temperature,
        gate=Gate(gate.measures, gate.centre, gate.scale, gate.weights, gate.bias),
        threshold=content.threshold,
        around=Surroundings(tensors["examples"], tensors["means"]),
        encoder_id=content.encoder_id,
        data_hash=content.data_hash,
        figures=content.figures,
        encoder=content.encoder,
    )


def read_model_file(folder: Path) -> ModelFile:
    """The checked content of `intents.json`.

    Raises:
        ConfigurationError: The folder holds no model, or a damaged one.
    """
    path = folder / MODEL_FILE
    try:
        return ModelFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ConfigurationError(f"{folder} holds no trained intents", hint="train them first") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror or error}", hint="check who may read it"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the file"
        raise ConfigurationError(f"{path} is damaged: {place}: {first['msg']}", hint=_TRAIN_AGAIN) from None


def _write(model: IntentModel, folder: Path) -> None:
    from safetensors.numpy import save as serialised

    tensors = {
        "weight": model.head.weight,
        "bias": model.head.bias,
        "examples": model.around.examples,
        "means": model.around.means,
    }
    if model.features.lexicon is not None:
        tensors["rarity"] = model.features.lexicon.rarity
    raw = serialised({name: numpy.ascontiguousarray(value) for name, value in tensors.items()})
    tuned: TunedEncoder | None = model.features.tuned
    gate = model.gate
    content = ModelFile(
        format=FORMAT,
        encoder=model.encoder,
        encoder_id=model.encoder_id,
        tuned_sha256=None if tuned is None else tuned.write(folder / ENCODER_FILE),
        labels=model.labels,
        lexical_weight=model.features.lexical_weight,
        temperature=model.temperature,
        threshold=model.threshold,
        gate=_GateValues(
            measures=gate.measures,
            centre=gate.centre,
            scale=gate.scale,
            weights=gate.weights,
            bias=gate.bias,
        ),
        data_hash=model.data_hash,
        weights_sha256=hashlib.sha256(raw).hexdigest(),
        figures=model.figures,
    )
    (folder / WEIGHTS_FILE).write_bytes(raw)
    (folder / MODEL_FILE).write_text(content.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _put_in_place(fresh: Path, folder: Path) -> None:
    """Rename `fresh` to `folder`; a reader sees the old model or the new one."""
    if folder.exists():
        old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-old-"))
        os.rename(folder, old / folder.name)
        os.rename(fresh, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(fresh, folder)


def _tuned(path: Path, encoder: Encoder, sha256: str) -> TunedEncoder:
    from agentkit.models.transformers_encoder import TransformersEncoder
    from agentkit.models.tuned_encoder import TunedEncoder

    if not isinstance(encoder, TransformersEncoder):
        raise ConfigurationError(
            f"the intents in {path.parent} have tuned layers, which need the encoder itself",
            hint="load the encoder with `load_encoder`",
        )
    try:
        return TunedEncoder.read(encoder, path, sha256)
    except ModelRefused as error:
        raise ConfigurationError(error.message, hint=_TRAIN_AGAIN) from error


def _read_tensors(folder: Path, content: ModelFile, dimension: int) -> dict[str, Floats]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as parsed

    path = folder / WEIGHTS_FILE
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror or error}", hint=_TRAIN_AGAIN
        ) from error
    if hashlib.sha256(raw).hexdigest() != content.weights_sha256:
        raise ConfigurationError(f"{path} is damaged: its hash is not the recorded one", hint=_TRAIN_AGAIN)
    try:
        tensors: dict[str, Floats] = parsed(raw)
    except SafetensorError as error:
        raise ConfigurationError(f"{path} is damaged: {error}", hint=_TRAIN_AGAIN) from None
    if not _fits(tensors, content, dimension):
        raise ConfigurationError(f"{path} does not hold the weights of these intents", hint=_TRAIN_AGAIN)
    return tensors


def _fits(tensors: dict[str, Floats], content: ModelFile, dimension: int) -> bool:
    if set(tensors) - {"rarity"} != _TENSORS:
        return False
    if not all(each.dtype == numpy.float32 and numpy.isfinite(each).all() for each in tensors.values()):
        return False
    intents, lexical = len(content.labels), "rarity" in tensors
    width = dimension + WIDTH * lexical + dimension * (content.tuned_sha256 is not None)
    classes = tensors["weight"].shape[-1]
    gate = content.gate
    return (
        intents > 0
        and classes in (intents, intents + 1)
        and tensors["weight"].shape == (width, classes)
        and tensors["bias"].shape == (classes,)
        and tensors["examples"].ndim == 2
        and tensors["examples"].shape[1] == dimension
        and tensors["means"].shape == (intents, dimension)
        and (not lexical or tensors["rarity"].shape == (BUCKETS,))
        and len(gate.measures) == len(gate.centre) == len(gate.scale) == len(gate.weights)
        and all(scale > 0 for scale in gate.scale)
    )
