"""A trained set of intents: predicts what a message wants. `agentkit.intents.storage` keeps it in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy
from pydantic import Field

from agentkit.errors import ConfigurationError
from agentkit.intents.features import Features
from agentkit.intents.head import Head, log_softmax
from agentkit.intents.scope import Gate, Surroundings, measure
from agentkit.messages import Value

if TYPE_CHECKING:
    from agentkit.intents.head import Doubles, Floats
    from agentkit.models.protocols import Encoder

RANKING: Final = 5
"""Intents of a ranking."""

_CLOSE: Final = 0.4
"""Share of the two best from which the second is as good a guess as the first: odds below three to two."""
_TOGETHER: Final = 0.6
"""Probability of the two best together from which it is worth asking which of them."""


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

    @property
    def ambiguous(self) -> tuple[str, ...]:
        """The two intents that the message may equally want; empty where one is clearly ahead, or none fits."""
        if self.intent is None or len(self.ranking) < 2:
            return ()
        (first, most), (second, next_most) = self.ranking[:2]
        together = most + next_most
        return (first, second) if together >= _TOGETHER and next_most >= _CLOSE * together else ()


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
        scores: Area under the ROC curve of each choice of out-of-scope measures; the gate uses one of them.
        curve: The risk-coverage curve: rows of threshold, share of messages accepted, share of them wrong.
        max_wrong: The risk that the threshold was chosen for; None: what weighs errors best.
        tuned_epochs: After how many epochs the tuned layers were best; None: the encoder is as it was.
        seconds: How long training took, embedding included.
    """

    examples: int
    out_of_scope: int
    strength: float = 0.0
    accuracy: float | None = None
    accepted_and_right: float | None = None
    out_of_scope_declined: float | None = None
    left_out_declined: float | None = None
    scores: dict[str, float] = Field(default_factory=dict)
    curve: tuple[tuple[float, float, float], ...] = ()
    max_wrong: float | None = None
    tuned_epochs: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class IntentModel:
    """A trained set of intents; made by `agentkit.intents.train` or `agentkit.intents.train_tuned`.

    Args:
        labels: Names of the intents.
        features: How a message becomes the vector that the head reads.
        head: The linear head; a class behind those of the labels stands for out of scope.
        temperature: Divides the logits, so that probabilities are calibrated.
        gate: Gives the probability that a message is in scope.
        threshold: In-scope probability from which a message is accepted.
        around: The examples that the gate compares a message with.
        encoder_id: The encoder that the model belongs to.
        data_hash: SHA-256 of the examples.
        figures: What training measured.
        encoder: What to give `load_encoder` to get the encoder, if the trainer said so.
    """

    labels: tuple[str, ...]
    features: Features
    head: Head
    temperature: float
    gate: Gate
    threshold: float
    around: Surroundings
    encoder_id: str
    data_hash: str
    figures: TrainingFigures
    encoder: str = ""

    def predict(self, text: str, vector: Floats) -> Prediction:
        """What a message wants.

        Args:
            text: The message.
            vector: float32 [dimension], length 1, from the encoder of the model.

        Raises:
            ConfigurationError: The vector has another dimension or is not finite.
        """
        return self.predict_all([text], vector[None, :])[0]

    def predict_all(self, texts: Sequence[str], vectors: Floats) -> list[Prediction]:
        """What each message wants; vectors float32 [n, dimension]. See `predict`."""
        probabilities, in_scope = self.probabilities(texts, vectors)
        order = numpy.argsort(-probabilities, axis=1, kind="stable")[:, :RANKING]
        return [
            self._prediction(probabilities[row], order[row], float(in_scope[row]))
            for row in range(len(vectors))
        ]

    def probabilities(self, texts: Sequence[str], vectors: Floats) -> tuple[Doubles, Doubles]:
        """Probability of every intent, float64 [n, intents], and that the message is in scope, [n]."""
        self._check(texts, vectors)
        intents = len(self.labels)
        read, space = self.features.read(texts, vectors)
        logits = self.head.logits(read)
        in_scope = self.gate.probability(measure(logits, intents, space, self.around, self.gate.measures))
        given_in_scope = numpy.exp(log_softmax(logits[:, :intents] / numpy.float32(self.temperature)))
        return given_in_scope * in_scope[:, None], in_scope

    def save(self, folder: Path | str) -> None:
        """Write the model to a folder, all or nothing; an earlier model there is replaced.

        Raises:
            ConfigurationError: The folder cannot be written.
        """
        from agentkit.intents.storage import save

        save(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str, encoder: Encoder) -> IntentModel:
        """Read a model that `save` wrote.

        Args:
            folder: Where it was saved.
            encoder: The encoder whose vectors will be given to it.

        Raises:
            ConfigurationError: There is none, it is damaged, or it was trained with another encoder.
        """
        from agentkit.intents.storage import load

        return load(Path(folder), encoder)

    def _prediction(self, probabilities: Doubles, order: Doubles, in_scope: float) -> Prediction:
        ranking = tuple((self.labels[int(index)], float(probabilities[int(index)])) for index in order)
        best, probability = ranking[0]
        return Prediction(best if in_scope >= self.threshold else None, probability, ranking, in_scope)

    def _check(self, texts: Sequence[str], vectors: Floats) -> None:
        dimension = self.around.means.shape[1]
        if vectors.ndim != 2 or vectors.shape != (len(texts), dimension):
            raise ConfigurationError(
                f"the intents need {len(texts)} vectors of dimension {dimension}, not an array of shape "
                f"{vectors.shape}",
                hint=f"use the encoder `{self.encoder_id}`",
            )
        if not numpy.isfinite(vectors).all():
            raise ConfigurationError(
                "the encoder gave a vector that is not finite (NaN or infinite)",
                hint="try another encoder, or float32 instead of bfloat16",
            )
