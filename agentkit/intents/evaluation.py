"""How good a trained set of intents is on messages whose intent is known."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.intents.examples import IntentExample
from agentkit.intents.model import IntentModel, Prediction
from agentkit.intents.scope import auroc

if TYPE_CHECKING:
    from agentkit.models.protocols import Encoder

BINS: Final = 15
"""Bins of equal width of the reliability diagram and of the calibration error."""

_TIMED: Final = 200  # messages that are read one by one
_BLOCK: Final = 256
_TEXTS: Final = 3  # of a confusion
_CONFUSIONS: Final = 20


@dataclass(frozen=True)
class Evaluated:
    """One message and what was made of it.

    Args:
        text: The message.
        expected: Its intent; None: out of scope.
        prediction: What the model says.
        milliseconds: Embedding and intent together, where it was read by itself.
    """

    text: str
    expected: str | None
    prediction: Prediction
    milliseconds: float | None = None

    @property
    def first_is_right(self) -> bool:
        """Whether the first intent of the ranking is the expected one."""
        return self.prediction.ranking[0][0] == self.expected

    def to_json(self) -> str:
        """`{"text", "intent", "probability", "ranking"}` as one line."""
        return prediction_line(self.text, self.prediction)


@dataclass(frozen=True)
class IntentScore:
    """How one intent fares: `count` messages of it, and what share of them (recall) and of what was taken for it
    (precision; None where nothing was) is right."""

    intent: str
    count: int
    recall: float
    precision: float | None


@dataclass(frozen=True)
class Confusion:
    """Messages of `expected` that were taken for `predicted` (None: out of scope), and some of their texts."""

    expected: str | None
    predicted: str | None
    count: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class IntentScores:
    """All figures; a share is None where there is nothing to take a share of.

    Args:
        in_scope: Messages with an intent.
        out_of_scope: Messages without.
        accuracy: Share of in-scope messages that were accepted with their intent.
        accuracy_of_ranking: Share of in-scope messages whose intent came first, accepted or not.
        out_of_scope_recall: Share of out-of-scope messages that were declined.
        out_of_scope_precision: Share of declined messages that are out of scope.
        auroc: Probability that `probability` is higher for an in-scope message than for one that is not.
        mcc: Matthews correlation over all intents and out of scope (Gorodkin 2004).
        calibration_error: Expected calibration error of `probability` (Guo et al. 2017), all messages.
        ambiguous: Messages that two intents fit equally well: the bot asks.
        milliseconds_p50, milliseconds_p95: One message, embedding and intent together.
        intents: Each intent, worst recall first.
        confusions: The most frequent ones.
    """

    in_scope: int
    out_of_scope: int
    accuracy: float | None
    accuracy_of_ranking: float | None
    out_of_scope_recall: float | None
    out_of_scope_precision: float | None
    auroc: float | None
    mcc: float
    calibration_error: float
    ambiguous: int
    milliseconds_p50: float | None
    milliseconds_p95: float | None
    intents: tuple[IntentScore, ...]
    confusions: tuple[Confusion, ...]

    def to_json(self) -> str:
        """All figures as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)


def prediction_line(text: str, prediction: Prediction) -> str:
    """`{"text", "intent", "probability", "ranking"}` as one line of JSON."""
    line = {
        "text": text,
        "intent": prediction.intent,
        "probability": prediction.probability,
        "ranking": prediction.ranking,
    }
    return json.dumps(line, ensure_ascii=not text.isprintable())


def evaluate(
    model: IntentModel,
    encoder: Encoder,
    rows: Sequence[IntentExample],
    on_rows: Callable[[int], None] = lambda count: None,
) -> list[Evaluated]:
    """What the model makes of messages.

    Args:
        model: The trained intents.
        encoder: Theirs.
        rows: The messages; some of them are read one by one, so that it shows how long one takes.
        on_rows: Told after so many more.
    """
    found: dict[int, Evaluated] = {}
    timed = set(numpy.linspace(0, len(rows) - 1, min(_TIMED, len(rows))).round().astype(int).tolist())
    for index in sorted(timed):
        row = rows[index]
        started = time.perf_counter()
        prediction = model.predict(row.text, encoder.encode([row.text])[0])
        took = (time.perf_counter() - started) * 1000
        found[index] = Evaluated(row.text, row.intent, prediction, took)
        on_rows(1)
    rest = [index for index in range(len(rows)) if index not in timed]
    for block in _blocks(rest):
        texts = [rows[index].text for index in block]
        predictions = model.predict_all(texts, encoder.encode(texts))
        for index, prediction in zip(block, predictions, strict=True):
            found[index] = Evaluated(rows[index].text, rows[index].intent, prediction)
        on_rows(len(block))
    return [found[index] for index in range(len(rows))]


def score(found: Sequence[Evaluated]) -> IntentScores:
    """The figures of what `evaluate` found."""
    inside = [each for each in found if each.expected is not None]
    outside = [each for each in found if each.expected is None]
    declined = [each for each in found if each.prediction.intent is None]
    times = [each.milliseconds for each in found if each.milliseconds is not None]
    probability = numpy.array([each.prediction.probability for each in found])
    is_inside = numpy.array([each.expected is not None for each in found])
    return IntentScores(
        in_scope=len(inside),
        out_of_scope=len(outside),
        accuracy=_share([each.prediction.intent == each.expected for each in inside]),
        accuracy_of_ranking=_share([each.first_is_right for each in inside]),
        out_of_scope_recall=_share([each.prediction.intent is None for each in outside]),
        out_of_scope_precision=_share([each.expected is None for each in declined]),
        auroc=auroc(probability, is_inside) if inside and outside else None,
        mcc=matthews([each.expected for each in found], [each.prediction.intent for each in found]),
        calibration_error=calibration_error(found),
        ambiguous=sum(bool(each.prediction.ambiguous) for each in found),
        milliseconds_p50=float(numpy.percentile(times, 50)) if times else None,
        milliseconds_p95=float(numpy.percentile(times, 95)) if times else None,
        intents=tuple(_by_intent(found)),
        confusions=tuple(confusions(found)[:_CONFUSIONS]),
    )


def reliability(found: Sequence[Evaluated]) -> list[tuple[float, float, int]]:
    """Mean probability, share that is right and number of messages of each bin that has any."""
    groups: dict[int, list[Evaluated]] = {}
    for each in found:
        groups.setdefault(min(int(each.prediction.probability * BINS), BINS - 1), []).append(each)
    return [
        (
            float(numpy.mean([each.prediction.probability for each in group])),
            float(numpy.mean([each.first_is_right for each in group])),
            len(group),
        )
        for _, group in sorted(groups.items())
    ]


def calibration_error(found: Sequence[Evaluated]) -> float:
    """Mean distance between probability and share that is right over the bins, by their numbers."""
    total = sum(count for _, _, count in reliability(found))
    return sum(abs(said - right) * count for said, right, count in reliability(found)) / max(total, 1)


def confusions(found: Sequence[Evaluated]) -> list[Confusion]:
    """What was taken for something else, most frequent first."""
    texts: dict[tuple[str | None, str | None], list[str]] = {}
    for each in found:
        if each.prediction.intent != each.expected:
            texts.setdefault((each.expected, each.prediction.intent), []).append(each.text)
    ordered = sorted(texts.items(), key=lambda item: -len(item[1]))
    return [Confusion(pair[0], pair[1], len(some), tuple(some[:_TEXTS])) for pair, some in ordered]


def matthews(expected: Sequence[str | None], predicted: Sequence[str | None]) -> float:
    """The multi-class Matthews correlation; 0 where one side never varies."""
    n = len(expected)
    right = sum(one == other for one, other in zip(expected, predicted, strict=True))
    true, said = Counter(expected), Counter(predicted)
    both = sum(true[name] * said[name] for name in true)
    spread = (n * n - sum(c * c for c in said.values())) * (n * n - sum(c * c for c in true.values()))
    return float((right * n - both) / spread**0.5) if spread > 0 else 0.0


def _by_intent(found: Sequence[Evaluated]) -> list[IntentScore]:
    count = Counter(each.expected for each in found)
    taken = Counter(each.prediction.intent for each in found)
    right = Counter(each.expected for each in found if each.prediction.intent == each.expected)
    scores = [
        IntentScore(
            name, count[name], right[name] / count[name], right[name] / taken[name] if taken[name] else None
        )
        for name in count
        if name is not None
    ]
    return sorted(scores, key=lambda each: (each.recall, each.intent))


def _share(holds: Sequence[bool]) -> float | None:
    return sum(holds) / len(holds) if holds else None


def _blocks(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(rows), _BLOCK):
        yield rows[at : at + _BLOCK]
