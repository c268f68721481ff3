"""Tunes the upper layers of the encoder for a set of intents.

    states of the lower layers, computed once -> tuned layers -> mean -> unit vector -> logits

The lower half stays as it is, so that a message still costs one pass through it (`agentkit.models.tuned_encoder`), and
a step of training costs half. Many examples: cross-entropy with a linear head that begins at the means of the intents.
Few: supervised contrastive loss (Khosla et al. 2020) on batches that hold several examples of each intent, then a head.
What is kept is the moving average of the weights at the epoch that was best on the validation messages. Dropout and
order are drawn from a fixed seed; the order of sums on several threads still varies a little.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy
import torch
import torch.nn.functional as F

from agentkit.errors import ModelError
from agentkit.intents.calibration import cross_entropy
from agentkit.intents.head import Head, fit_head
from agentkit.models.bert_network import attention_mask, pooled
from agentkit.models.progress import Silent
from agentkit.models.tuned_encoder import batches, padded

if TYPE_CHECKING:
    from agentkit.intents.head import Floats, Integers
    from agentkit.models.progress import Progress

FEW: Final = 20
"""Examples of the median intent up to which the contrastive loss is used."""

_BATCH: Final = 64
_OF_ONE_INTENT: Final = 4  # examples of an intent in a contrastive batch
_LAYER_RATE: Final = 3e-4
_HEAD_RATE: Final = 2e-3
_WARM_UP: Final = 0.06  # share of the steps in which the rate rises
_SHARPNESS: Final = 20.0  # logits are so many times the cosine, at first
_CONTRAST: Final = 0.1  # temperature of the contrastive loss
_AVERAGED: Final = 0.995  # share of the moving average that a step leaves
_DROPOUT: Final = 0.1
_STEPS: Final = 700  # about so many in all,
_EPOCHS: Final = (3, 20)  # between so many epochs
_PATIENCE: Final = 2  # epochs without a gain after which it stops
_EVALUATED_TOKENS: Final = 4096
_BUCKETS: Final = 20  # batches whose texts are sorted by length together


@dataclass(frozen=True, eq=False)
class TuningRows:
    """Messages for tuning.

    Args:
        states: Token vectors after the lower layers, [t, d] each.
        targets: Class of each, [n].
    """

    states: list[torch.Tensor]
    targets: Integers


@dataclass(eq=False)
class Tuned:
    """The best state so far.

    Args:
        layers: The tuned layers.
        head: The linear head on their unit vectors.
        epoch: After how many epochs; 0: nothing was better than the start.
        loss: Its validation cross-entropy.
        losses: That of every epoch.
    """

    layers: Any
    head: Head
    epoch: int = 0
    loss: float = math.inf
    losses: list[float] = field(default_factory=list)


def tune(
    layers: Any,
    rows: TuningRows,
    validation: TuningRows,
    *,
    intents: int,
    classes: int,
    first: bool = False,
    progress: Progress | None = None,
) -> Tuned:
    """Tune layers for intents.

    Args:
        layers: The upper layers, a `torch.nn.ModuleList`; changed in place.
        rows: What to learn from; every target is below `classes`.
        validation: What decides when to stop.
        intents: How many intents there are; a class behind them is out of scope.
        classes: `intents`, or one more.
        first: Whether the encoder pools with its first token.
        progress: Told of every step.

    Raises:
        ModelError: The loss was not finite.
    """
    progress = progress or Silent()
    per_intent = numpy.bincount(rows.targets, minlength=intents)[:intents]
    contrastive = float(numpy.median(per_intent)) <= FEW
    steps = math.ceil(len(rows.states) / _BATCH)
    epochs = min(max(math.ceil(_STEPS / steps), _EPOCHS[0]), _EPOCHS[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        run = _Run(layers, rows, intents, classes, epochs * steps, contrastive=contrastive, first=first)
        best = Tuned(copy.deepcopy(run.average), run.head())
        progress.start(f"Tuning {len(layers)} layers", epochs * steps, "steps")
        try:
            for epoch in range(1, epochs + 1):
                for batch in run.batches():
                    run.step(batch)
                    progress.advance(1)
                _keep_better(best, run, validation, intents, epoch)
                if epoch - best.epoch >= _PATIENCE:
                    break
        finally:
            progress.finish()
    return best


def vectors_of(layers: Any, states: list[torch.Tensor], *, first: bool = False) -> Floats:
    """Unit vectors of messages from the states of the lower layers, float32 [n, d]."""
    found = numpy.empty((len(states), states[0].shape[1]), dtype=numpy.float32)
    with torch.inference_mode(), _precision():
        for batch in batches([len(each) for each in states], _EVALUATED_TOKENS):
            hidden, mask = padded([states[row].float() for row in batch])
            found[batch] = _embed(layers, hidden, mask, first=first).numpy()
    return found


def _keep_better(best: Tuned, run: _Run, validation: TuningRows, intents: int, epoch: int) -> None:
    head = run.head()
    inside = numpy.flatnonzero(validation.targets < intents)
    vectors = vectors_of(run.average, [validation.states[row] for row in inside], first=run.first)
    loss = cross_entropy(head.logits(vectors)[:, :intents], validation.targets[inside])
    best.losses.append(loss)
    if loss < best.loss:
        best.layers, best.head = copy.deepcopy(run.average), head
        best.epoch, best.loss = epoch, loss


class _Run:
    """Weights, optimiser and moving average of one training run."""

    def __init__(
        self,
        layers: Any,
        rows: TuningRows,
        intents: int,
        classes: int,
        steps: int,
        *,
        contrastive: bool,
        first: bool,
    ) -> None:
        self.first = first
        self._layers, self._rows = layers, rows
        self._targets = torch.from_numpy(rows.targets)
        self._classes, self._contrastive = classes, contrastive
        self._random = numpy.random.default_rng(0)
        for layer in layers:
            layer.dropout = _DROPOUT
            layer.requires_grad_(True)
        self.average = copy.deepcopy(layers).eval().requires_grad_(False)
        self._weight = self._means().mul_(0.5).requires_grad_(True)  # [classes, d]
        self._bias = torch.zeros(classes, requires_grad=True)
        self._averaged = [self._weight.detach().clone(), self._bias.detach().clone()]
        self._optimiser = torch.optim.AdamW(
            [
                {"params": list(layers.parameters()), "lr": _LAYER_RATE, "weight_decay": 0.01},
                {"params": [self._weight, self._bias], "lr": _HEAD_RATE, "weight_decay": 0.0},
            ]
        )
        self._rate = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser,
            lambda step: min(1.0, (step + 1) / max(1.0, _WARM_UP * steps)) * max(0.02, 1 - step / steps),
        )
        self._step = 0

    def batches(self) -> Iterator[list[int]]:
        """The batches of an epoch."""
        if self._contrastive:
            yield from self._of_few_intents()
            return
        order = self._random.permutation(len(self._rows.states))
        for at in range(0, len(order), _BATCH * _BUCKETS):
            bucket = sorted(order[at : at + _BATCH * _BUCKETS], key=lambda row: len(self._rows.states[row]))
            some = [bucket[start : start + _BATCH] for start in range(0, len(bucket), _BATCH)]
            for position in self._random.permutation(len(some)):
                yield [int(row) for row in some[position]]

    def step(self, batch: list[int]) -> None:
        """Learn from one batch."""
        self._layers.train()
        hidden, mask = padded([self._rows.states[row].float() for row in batch])
        with _precision():
            vectors = _embed(self._layers, hidden, mask, first=self.first)
        targets = self._targets[batch]
        if self._contrastive:
            loss = _contrast(vectors, targets)
        else:
            loss = F.cross_entropy(_SHARPNESS * vectors @ self._weight.T + self._bias, targets)
        if not torch.isfinite(loss):
            raise ModelError(
                "Tuning failed: the loss is not finite.",
                hint="Train without --tune, or look at the examples.",
            )
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._layers.parameters(), 1.0)
        self._optimiser.step()
        self._rate.step()
        self._step += 1
        self._follow()

    def head(self) -> Head:
        """The linear head that fits the averaged layers."""
        if self._contrastive:
            vectors = vectors_of(self.average, self._rows.states, first=self.first)
            return fit_head(vectors, self._rows.targets, self._classes, 30.0, precision=1e-4)
        weight, bias = self._averaged
        return Head((_SHARPNESS * weight.T).contiguous().numpy().copy(), bias.numpy().copy())

    def _follow(self) -> None:
        """Move the average towards the weights; quicker at first, when there is little to average."""
        share = 1 - min(_AVERAGED, (1 + self._step) / (10 + self._step))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self._layers.parameters(), strict=True):
                mean.lerp_(value, share)
            for mean, value in zip(self._averaged, (self._weight, self._bias), strict=True):
                mean.lerp_(value, share)

    def _means(self) -> torch.Tensor:
        """Unit means of the classes, less the mean of all: where the head begins."""
        vectors = torch.from_numpy(vectors_of(self.average, self._rows.states, first=self.first))
        sums = torch.zeros(self._classes, vectors.shape[1]).index_add_(0, self._targets, vectors)
        counts = torch.bincount(self._targets, minlength=self._classes).clamp_min(1).unsqueeze(1)
        means = sums / counts
        return F.normalize(means - means.mean(0), dim=1)

    def _of_few_intents(self) -> Iterator[list[int]]:
        """Batches with several examples of each of their intents."""
        groups: list[list[int]] = []
        for target in range(self._classes):
            members = self._random.permutation(numpy.flatnonzero(self._rows.targets == target))
            for at in range(0, len(members), _OF_ONE_INTENT):
                groups.append([int(row) for row in members[at : at + _OF_ONE_INTENT]])
        size = _BATCH // _OF_ONE_INTENT
        order = self._random.permutation(len(groups))
        for at in range(0, len(order), size):
            yield [row for position in order[at : at + size] for row in groups[position]]


def _embed(layers: Any, hidden: torch.Tensor, mask: torch.Tensor, *, first: bool) -> torch.Tensor:
    attended = attention_mask(mask)
    for layer in layers:
        hidden = layer(hidden, attended)
    return pooled(hidden.float(), mask, first=first)


def _contrast(vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Supervised contrastive loss of unit vectors [n, d]; a message without a partner in the batch counts nothing."""
    similarity = vectors @ vectors.T / _CONTRAST  # [n, n]
    itself = torch.eye(len(vectors), dtype=torch.bool)
    log_probability = similarity.masked_fill(itself, -torch.inf).log_softmax(1)
    partner = (targets[:, None] == targets[None, :]) & ~itself
    count = partner.sum(1)
    mean = log_probability.masked_fill(~partner, 0.0).sum(1) / count.clamp_min(1)
    return -mean[count > 0].sum() / (count > 0).sum().clamp_min(1)


_quicker: dict[str, bool] = {}


def _precision() -> Any:
    """Products in bfloat16 where this processor is quicker with them; measured once."""
    if "bfloat16" not in _quicker:
        times = []
        for dtype in (torch.float32, torch.bfloat16):
            left, right = torch.ones(768, 384, dtype=dtype), torch.ones(384, 1536, dtype=dtype)
            found = []
            for _ in range(5):
                started = time.perf_counter()
                left @ right
                found.append(time.perf_counter() - started)
            times.append(min(found))
        _quicker["bfloat16"] = times[1] < times[0]
    return torch.autocast("cpu", torch.bfloat16, enabled=_quicker["bfloat16"])
