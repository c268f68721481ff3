"""Does the evidence answer the question? Decided before anything is said, as a calibrated probability.

What separates "the same subject" from "the very detail" was measured (`dev/log.md`): the encoder's similarity
hardly does, the prose of a small generator does not, but the generator's own probability of declining does, when
it is read at the branch where the reply would begin. So a judge reads a few cheap *signals* and combines them by
a logistic function whose coefficients were fitted for the generator (`calibration.yaml`). A generator that has no
entry there is not asked: the encoder judges alone, with a threshold of its own.
"""

from __future__ import annotations

import importlib.resources
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import yaml
from pydantic import Field

from agentkit.knowledge.passages import Passage
from agentkit.messages import Message, Value, assistant, system, user
from agentkit.models.protocols import ChoiceRequest

if TYPE_CHECKING:
    from agentkit.models.protocols import Encoder, Generator
    from agentkit.prompts import PromptLibrary

_TURN: Final = re.compile(r"^=== (system|user|assistant) ===\n", re.MULTILINE)
_MAKE: Final[Mapping[str, Callable[[str], Message]]] = {
    "system": system,
    "user": user,
    "assistant": assistant,
}
_FLOOR: Final = 1e-6
_MOST_JUDGED: Final = 2
"""Passages that are looked at: the encoder has the right one among its first two in 82 of 83 cases."""
_MOST_LOGIT: Final = 30.0


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
    """

    bias: float
    weights: dict[str, float]
    threshold: float = Field(ge=0, le=1)


class Reading(Value):
    """How one signal is read from a generator.

    Args:
        prompt: Template with the examples: a conversation in which some questions are declined.
        declines: How a reply begins that declines; one token.
        prefix: What every reply begins with, before that.
    """

    prompt: str
    declines: str
    prefix: str = ""


class Calibrations(Value):
    """What ships with agentkit (`calibration.yaml`).

    Args:
        readings: The signals that a generator can give, by name.
        generators: The combination for each generator that was measured, by its catalogue name.
        encoder: The combination of the encoder's signals alone.
    """

    readings: dict[str, Reading]
    generators: dict[str, Combination]
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
        readers: What reads the generator's signals, by their names; the encoder's need none.
        name: The name that traces show.
    """

    def __init__(
        self,
        combination: Combination,
        readers: Mapping[str, BranchReader] | None = None,
        name: str = "encoder",
    ) -> None:
        self._combination = combination
        self._readers = readers or {}
        self._name = name

    @classmethod
    def for_models(cls, generator: Generator | None, encoder: Encoder, prompts: PromptLibrary) -> Judge:
        """The judge that was calibrated for this generator, or the encoder alone where there is none.

        Args:
            generator: Recognised by its name; None or one that was not measured is not asked.
            encoder: Only one has been measured so far, so it does not matter which.
            prompts: Where the examples for the generator come from.
        """
        del encoder
        known = Calibrations.load()
        combination = known.generators.get(generator.name) if generator is not None else None
        if combination is None or generator is None:
            return cls(known.encoder)
        readers = {
            name: BranchReader(generator, prompts, reading)
            for name, reading in known.readings.items()
            if name in combination.weights
        }
        return cls(combination, readers, "generator+encoder" if readers else "encoder")

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
        best: tuple[float, int | None] = (0.0, None)
        order = sorted(range(len(passages)), key=lambda index: -passages[index].similarity)
        for index in order[:_MOST_JUDGED]:
            probability = self._probability(self.signals(question, passages[index]))
            if best[1] is None or probability > best[0]:
                best = (probability, index)
            if probability >= self._combination.threshold:
                break
        answerable = best[1] is not None and best[0] >= self._combination.threshold
        return Judgement(answerable, best[0], self._name, best[1])

    def signals(self, question: str, passage: Passage) -> dict[str, float]:
        """Every signal that this judge combines, by name: what a calibration is fitted on."""
        found = {
            "passage": passage.similarity,
            "sentence": max(passage.sentence_similarities, default=0.0),
        }
        for name, reader in self._readers.items():
            found[name] = reader.read(question, [passage.text])
        return found

    def _probability(self, signals: Mapping[str, float]) -> float:
        weights = self._combination.weights
        total = self._combination.bias + sum(weight * signals[name] for name, weight in weights.items())
        return 1 / (1 + math.exp(-max(-_MOST_LOGIT, min(_MOST_LOGIT, total))))


class BranchReader:
    """Reads one signal: how far a generator is from declining.

    Args:
        generator: Whose probabilities are read.
        prompts: Where the examples and the form of a question come from.
        reading: Which examples, and which words decline.
    """

    def __init__(self, generator: Generator, prompts: PromptLibrary, reading: Reading) -> None:
        self._generator = generator
        self._prompts = prompts
        self._reading = reading
        # The same for every question, so that its key-value states are computed once.
        self._examples = _conversation(prompts.render(reading.prompt))

    def read(self, question: str, facts: Sequence[str]) -> float:
        """Logit of the probability that the generator does not decline, between -14 and 14."""
        asked = user(self._prompts.render("judge_question", facts=facts, question=question).strip())
        request = ChoiceRequest(
            (*self._examples, asked),
            (self._reading.declines,),
            prefix=self._reading.prefix,
            static=len(self._examples),
        )
        (log_probability,) = self._generator.choose(request)
        declining = min(max(math.exp(log_probability), _FLOOR), 1 - _FLOOR)
        return math.log((1 - declining) / declining)


def _conversation(text: str) -> tuple[Message, ...]:
    """The messages of a template that marks each with a line `=== system ===`, `=== user ===`, …."""
    _, *rest = _TURN.split(text)
    return tuple(_MAKE[role](said.strip()) for role, said in zip(rest[::2], rest[1::2], strict=True))
