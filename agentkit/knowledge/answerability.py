"""Does the evidence answer the question? Decided before anything is said, as a calibrated probability.

What separates "the same subject" from "the very detail" was measured (`dev/log.md`): the encoder's similarity hardly
does, the prose of a small generator does not, its probability of declining does for some texts. What it *holds* does
best: after two thirds of its layers, a linear probe tells from the hidden vectors of a question whether the passage
before it answers it (Slobodkin et al. 2023, arXiv 2310.11877; Alain and Bengio 2016, arXiv 1610.01644). So a judge
reads a few *signals* and combines them by a logistic function; probe and coefficients were fitted for one generator
(`probes/`, `calibration.yaml`). A generator that has no entry there is not asked: the encoder judges alone, with a
threshold of its own.
"""

from __future__ import annotations

import importlib.resources
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import yaml
from pydantic import Field

from agentkit.knowledge.passages import Passage
from agentkit.messages import Value, user
from agentkit.models.protocols import StateReader, StateRequest

if TYPE_CHECKING:
    from agentkit.models.protocols import Encoder, Generator, Vectors
    from agentkit.prompts import PromptLibrary

_MOST_JUDGED: Final = 2
"""Passages that are looked at: the encoder has the right one among its first two in 82 of 83 cases."""
_MOST_LOGIT: Final = 30.0
_PROBES: Final = Path(__file__).with_name("probes")


@dataclass(frozen=True)
class Judgement:
    """The decision of a judge.

    Args:
        answerable: Whether a reply may be made from the evidence.
        probability: Calibrated probability that the evidence answers the question.
        judge: Who decided: `encoder`, or `generator+encoder`.
        best: Index of the passage that answers best; None where there is no passage.
    """

    answerable: bool
    probability: float
    judge: str
    best: int | None = None


class Combination(Value):
    """How one judge combines its signals.

    Args:
        bias: Constant of the logistic function.
        weights: Coefficient of each signal.
        threshold: Smallest probability that counts as answerable.
        floor: Passages that are less similar to the question are not looked at: none of them answers it.
        reach: The second passage is looked at where its similarity is at most this much lower than the first one's.
    """

    bias: float
    weights: dict[str, float]
    threshold: float = Field(ge=0, le=1)
    floor: float = Field(default=-1.0, ge=-1, le=1)
    reach: float = Field(default=2.0, ge=0, le=2)


class Probing(Combination):
    """How a generator judges; its probe is the file of its name in `probes/`.

    Args:
        bias: See `Combination`.
        weights: See `Combination`; the probe's signal is called `state`.
        threshold: See `Combination`.
        layer: After so many layers its vectors are read.
    """

    layer: int = Field(ge=1)


class Calibrations(Value):
    """What ships with agentkit (`calibration.yaml`).

    Args:
        generators: The generators that were measured, by their catalogue names.
        encoder: The combination of the encoder's signals alone.
    """

    generators: dict[str, Probing]
    encoder: Combination

    @classmethod
    def load(cls) -> Calibrations:
        """Read the file that is part of the package."""
        file = importlib.resources.files("agentkit.knowledge").joinpath("calibration.yaml")
        return cls.model_validate(yaml.safe_load(file.read_text("utf-8")))


class Judge:
    """Decides whether evidence answers a question.

    Args:
        combination: How the signals are combined.
        probe: What reads the generator's signal, which is called `state`; None: the encoder judges alone.
    """

    def __init__(self, combination: Combination, probe: StateProbe | None = None) -> None:
        self._combination = combination
        self._probe = probe

    @classmethod
    def for_models(cls, generator: Generator | None, encoder: Encoder, prompts: PromptLibrary) -> Judge:
        """The judge that was calibrated for this generator, or the encoder alone where there is none.

        Args:
            generator: Recognised by its name; None, one that was not measured or one on a server is not asked.
            encoder: Only one has been measured so far, so it does not matter which.
            prompts: Where the examples for the generator come from.
        """
        del encoder
        known = Calibrations.load()
        if generator is None or generator.name not in known.generators:
            return cls(known.encoder)
        if not isinstance(generator, StateReader):
            return cls(known.encoder)
        probing = known.generators[generator.name]
        weights, bias = _shipped_probe(generator.name)
        source = StateSource(generator, prompts, probing.layer, shipped_adapter(generator.name))
        return cls(probing, StateProbe(source, weights, bias))

    def judge(self, question: str, passages: Sequence[Passage]) -> Judgement:
        """Decide whether one of `passages` answers `question`.

        They are looked at one by one, the most similar first, until one is good enough: a small generator that
        sees several at once takes the price of one for the price of another.

        Args:
            question: In the user's words.
            passages: The evidence, already compared with the question.

        Raises:
            ContextOverflow: A passage does not fit the generator's context window.
        """
        rules = self._combination
        order = sorted(range(len(passages)), key=lambda index: -passages[index].similarity)[:_MOST_JUDGED]
        near = [index for index in order if passages[index].similarity >= rules.floor]
        best: tuple[float, int | None] = (0.0, None)
        for index in near:
            if passages[near[0]].similarity - passages[index].similarity > rules.reach:
                break
            probability = self._probability(self.signals(question, passages[index]))
            if best[1] is None or probability > best[0]:
                best = (probability, index)
            if probability >= rules.threshold:
                break
        answerable = best[1] is not None and best[0] >= rules.threshold
        name = "encoder" if self._probe is None or not near else "generator+encoder"
        return Judgement(answerable, best[0], name, best[1])

    def signals(self, question: str, passage: Passage) -> dict[str, float]:
        """Every signal that this judge combines, by name."""
        found = {
            "passage": passage.similarity,
            "sentence": max(passage.sentence_similarities, default=0.0),
        }
        if self._probe is not None:
            found["state"] = self._probe.read(question, passage.text)
        return found

    def _probability(self, signals: Mapping[str, float]) -> float:
        weights = self._combination.weights
        total = self._combination.bias + sum(weight * signals[name] for name, weight in weights.items())
        return 1 / (1 + math.exp(-max(-_MOST_LOGIT, min(_MOST_LOGIT, total))))


class StateProbe:
    """Reads one signal: what a generator holds of whether a passage answers the question that comes after it.

    Args:
        source: Gives the vectors.
        weights: float32 [2, d] or [4, d], for what `source` gives.
        bias: Added to their products.
    """

    def __init__(self, source: StateSource, weights: Vectors, bias: float) -> None:
        self._reader = source
        self._weights = weights
        self._bias = bias

    def read(self, question: str, passage: str) -> float:
        """The logit of the probe: above 0 for a passage that answers."""
        return float((self._reader.read(question, passage) * self._weights).sum()) + self._bias


class StateSource:
    """The vectors that a probe is fitted on and reads.

    Args:
        generator: Whose vectors are read.
        prompts: Where the examples and the form of a question come from.
        layer: After so many layers.
        adapter: See `StateRequest`.
    """

    def __init__(
        self, generator: StateReader, prompts: PromptLibrary, layer: int, adapter: Path | None = None
    ) -> None:
        self._generator = generator
        self._prompts = prompts
        self._layer = layer
        self._adapter = adapter
        # The same for every question, so that its key-value states are computed once.
        self._examples = prompts.conversation("judge_answer")

    def read(self, question: str, passage: str) -> Vectors:
        """float32 [2, d]: the vector at the end of the prompt, and the mean over the question; with an adapter [4, d]:
        as the model is, then with the adapter, which reads the same states of the passage."""
        request = StateRequest(
            (*self._examples, user(self._asked(passage, question))),
            layer=self._layer,
            unread=self._asked(passage, ""),
            static=len(self._examples),
        )
        plain = self._generator.state(request)
        if self._adapter is None:
            return plain
        adapted = self._generator.state(replace(request, adapter=self._adapter))
        found: Vectors = np.concatenate([plain, adapted])
        return found

    def _asked(self, passage: str, question: str) -> str:
        return self._prompts.render("judge_question", facts=[passage], question=question).strip()


def shipped_adapter(name: str) -> Path | None:
    """The adapter that is part of the package for a generator; None: its vectors are read as they are."""
    path = _PROBES / f"{name}.adapter.safetensors"
    return path if path.exists() else None


def _shipped_probe(name: str) -> tuple[Vectors, float]:
    """Weights, [2, d] or [4, d], and bias of a probe that is part of the package."""
    from safetensors.numpy import load

    tensors = load((_PROBES / f"{name}.safetensors").read_bytes())
    return tensors["weights"], float(tensors["bias"][0])
