"""A trained set of intents: predicts from a vector, lives in a folder of safetensors and JSON."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy
from pydantic import ValidationError

from agentkit.errors import ConfigurationError
from agentkit.intents.head import Head, log_softmax
from agentkit.intents.scope import Gate, measure, nearest_similarity
from agentkit.messages import Value

if TYPE_CHECKING:
    from agentkit.intents.head import Floats

FORMAT: Final = 1
"""Version of the folder's layout and of what the numbers mean; raised when an old folder must not be used."""

MODEL_FILE: Final = "intents.json"
WEIGHTS_FILE: Final = "intents.safetensors"

_RANKING: Final = 5
_TENSORS: Final = frozenset({"weight", "bias", "examples"})
_TRAIN_AGAIN: Final = "delete the folder and train again"


@dataclass(frozen=True)
class Prediction:
    """What a message wants.

    Args:
        intent: The intent; None when the message is probably out of scope.
        probability: That the first intent of the ranking is what the message wants; calibrated on held-out
            examples, under the assumption that one message in ten is out of scope.
        ranking: The five most probable intents, whether or not the message is in scope. What is missing from
            a sum of 1 over all intents is the probability of out of scope.
        in_scope: Probability that the message is in scope; `intent` is None below the model's threshold.
    """

    intent: str | None
    probability: float
    ranking: tuple[tuple[str, float], ...]
    in_scope: float


class TrainingFigures(Value):
    """What training measured on examples that it held out; None where there were too few.

    Args:
        examples: Number of in-scope examples.
        out_of_scope: Number of out-of-scope examples.
        strength: Inverse regularisation strength that was chosen.
        accuracy: Share of in-scope examples whose intent came first.
        accepted_and_right: Share of in-scope examples that were accepted with the right intent.
        out_of_scope_declined: Share of out-of-scope examples that were declined.
        left_out_declined: Share of the examples of intents left out of training that were declined: what to
            expect of messages that come close to the bot's trade.
    """

    examples: int
    out_of_scope: int
    strength: float = 0.0
    accuracy: float | None = None
    accepted_and_right: float | None = None
    out_of_scope_declined: float | None = None
    left_out_declined: float | None = None


class _GateValues(Value):
    centre: tuple[float, float]
    scale: tuple[float, float]
    weights: tuple[float, float]
    bias: float


class _ModelFile(Value):
    """Layout of `intents.json`."""

    format: Literal[1]
    encoder_id: str
    labels: tuple[str, ...]
    temperature: float
    threshold: float
    gate: _GateValues
    data_hash: str
    weights_sha256: str
    figures: TrainingFigures


@dataclass(frozen=True, eq=False)
class IntentModel:
    """A trained set of intents; made by `agentkit.intents.train`.

    Args:
        labels: Names of the intents.
        head: The linear head; a class behind those of the labels stands for out of scope.
        temperature: Divides the logits, so that probabilities are calibrated.
        gate: Gives the probability that a message is in scope.
        threshold: In-scope probability from which a message is accepted.
        examples: float32 [n, dimension], vectors of the in-scope examples.
        encoder_id: The encoder that the model belongs to.
        data_hash: SHA-256 of the examples.
        figures: What training measured.
    """

    labels: tuple[str, ...]
    head: Head
    temperature: float
    gate: Gate
    threshold: float
    examples: Floats
    encoder_id: str
    data_hash: str
    figures: TrainingFigures

    def predict(self, vector: Floats) -> Prediction:
        """What the message with this vector wants.

        Args:
            vector: float32 [dimension], length 1, from the encoder of the model.

        Raises:
            ConfigurationError: The vector has another dimension or is not finite.
        """
        return self.predict_all(vector[None, :])[0]

    def predict_all(self, vectors: Floats) -> list[Prediction]:
        """What each message wants; vectors float32 [n, dimension]. See `predict`."""
        self._check(vectors)
        intents = len(self.labels)
        logits = self.head.logits(vectors)
        in_scope = self.gate.probability(
            measure(logits, intents, nearest_similarity(vectors, self.examples))
        )  # [n]
        given_in_scope = numpy.exp(log_softmax(logits[:, :intents] / numpy.float32(self.temperature)))
        probabilities = given_in_scope * in_scope[:, None]  # [n, intents]
        order = numpy.argsort(-probabilities, axis=1, kind="stable")[:, :_RANKING]
        return [
            self._prediction(probabilities[row], order[row], float(in_scope[row]))
            for row in range(len(vectors))
        ]

    def save(self, folder: Path | str) -> None:
        """Write the model to a folder, all or nothing; an earlier model there is replaced.

        Raises:
            ConfigurationError: The folder cannot be written.
        """
        folder = Path(folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
            try:
                self._write(fresh)
                _put_in_place(fresh, folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        except OSError as error:
            raise ConfigurationError(
                f"the intents cannot be saved to {folder}: {error.strerror or error}",
                hint="check the free space and who may write there",
            ) from error

    @classmethod
    def load(cls, folder: Path | str, encoder_id: str) -> IntentModel:
        """Read a model that `save` wrote.

        Args:
            folder: Where it was saved.
            encoder_id: The encoder whose vectors will be given to it.

        Raises:
            ConfigurationError: There is none, it is damaged, or it was trained with another encoder.
        """
        folder = Path(folder)
        content = _read_model_file(folder)
        if content.encoder_id != encoder_id:
            raise ConfigurationError(
                f"the intents in {folder} were trained with the encoder `{content.encoder_id}`, "
                f"not with `{encoder_id}`",
                hint="train again with this encoder, or go back to the other one",
            )
        weight, bias, examples = _read_tensors(folder, content)
        gate = content.gate
        return cls(
            labels=content.labels,
            head=Head(weight, bias),
            temperature=content.temperature,
            gate=Gate(gate.centre, gate.scale, gate.weights, gate.bias),
            threshold=content.threshold,
            examples=examples,
            encoder_id=content.encoder_id,
            data_hash=content.data_hash,
            figures=content.figures,
        )

    def _prediction(self, probabilities: Floats, order: Floats, in_scope: float) -> Prediction:
        ranking = tuple((self.labels[int(index)], float(probabilities[int(index)])) for index in order)
        best, probability = ranking[0]
        return Prediction(best if in_scope >= self.threshold else None, probability, ranking, in_scope)

    def _check(self, vectors: Floats) -> None:
        dimension = self.head.weight.shape[0]
        if vectors.ndim != 2 or vectors.shape[1] != dimension:
            raise ConfigurationError(
                f"the intents need vectors of dimension {dimension}, not an array of shape {vectors.shape}",
                hint=f"use the encoder `{self.encoder_id}`",
            )
        if not numpy.isfinite(vectors).all():
            raise ConfigurationError(
                "the encoder gave a vector that is not finite (NaN or infinite)",
                hint="try another encoder, or float32 instead of bfloat16",
            )

    def _write(self, folder: Path) -> None:
        from safetensors.numpy import save

        tensors = {"weight": self.head.weight, "bias": self.head.bias, "examples": self.examples}
        raw = save({name: numpy.ascontiguousarray(value) for name, value in tensors.items()})
        gate = self.gate
        content = _ModelFile(
            format=FORMAT,
            encoder_id=self.encoder_id,
            labels=self.labels,
            temperature=self.temperature,
            threshold=self.threshold,
            gate=_GateValues(centre=gate.centre, scale=gate.scale, weights=gate.weights, bias=gate.bias),
            data_hash=self.data_hash,
            weights_sha256=hashlib.sha256(raw).hexdigest(),
            figures=self.figures,
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


def _read_model_file(folder: Path) -> _ModelFile:
    path = folder / MODEL_FILE
    try:
        return _ModelFile.model_validate_json(path.read_bytes())
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


def _read_tensors(folder: Path, content: _ModelFile) -> tuple[Floats, Floats, Floats]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

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
        tensors = load(raw)
    except SafetensorError as error:
        raise ConfigurationError(f"{path} is damaged: {error}", hint=_TRAIN_AGAIN) from None
    if set(tensors) != _TENSORS or not _shapes_fit(tensors, len(content.labels)):
        raise ConfigurationError(f"{path} does not hold the weights of these intents", hint=_TRAIN_AGAIN)
    return tensors["weight"], tensors["bias"], tensors["examples"]


def _shapes_fit(tensors: dict[str, Floats], intents: int) -> bool:
    weight, bias, examples = tensors["weight"], tensors["bias"], tensors["examples"]
    return (
        all(each.dtype == numpy.float32 and bool(numpy.isfinite(each).all()) for each in tensors.values())
        and weight.ndim == examples.ndim == 2
        and bias.shape == (weight.shape[1],)
        and examples.shape[1] == weight.shape[0]
        and weight.shape[1] in (intents, intents + 1)
        and intents > 0
    )
