"""Trains intents with an encoder whose upper layers are tuned for them.

1. the frozen encoder and the letters of the messages: the head that `agentkit.intents.train` would make
2. the upper layers, tuned, with a head of their own
3. both heads side by side: how much each counts, temperature, gate and threshold are chosen on validation messages
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import ConfigurationError, ModelRefused
from agentkit.intents.calibration import STRANGE, Seen, cross_entropy, fit_scope, fit_temperature
from agentkit.intents.embedding import embed
from agentkit.intents.examples import IntentExample
from agentkit.intents.features import Features
from agentkit.intents.head import Head
from agentkit.intents.model import IntentModel
from agentkit.intents.scope import Surroundings
from agentkit.intents.training import ENOUGH_STRANGERS, Chosen, choose, look, without_their_intent
from agentkit.intents.training_data import TrainingData, arrange, hash_of, split_off
from agentkit.models.progress import Silent

if TYPE_CHECKING:
    from agentkit.intents.head import Booleans, Floats
    from agentkit.intents.tuning import Tuned
    from agentkit.models.progress import Progress
    from agentkit.models.protocols import Encoder
    from agentkit.models.transformers_encoder import TransformersEncoder

_SHARES: Final = (0.25, 0.5, 0.75, 1.0)  # of the tuned head in the sum of both
# What an accepted stranger costs in needless refusals: tuned layers are surer of what they know, and evidence and
# tools can still turn a stranger away, but nothing undoes a refusal. Chosen on validation messages (`dev/log.md`).
_STRANGER_COSTS: Final = 0.3


def train_tuned(
    examples: Sequence[IntentExample],
    encoder: Encoder,
    *,
    validation: Sequence[IntentExample] | None = None,
    max_wrong: float | None = None,
    layers: int | None = None,
    progress: Progress | None = None,
) -> IntentModel:
    """Train the intents and tune the encoder's upper layers for them.

    Args:
        examples: What users say; `intent=None` marks messages that are out of scope.
        encoder: What `load_encoder` returned, of the BERT family.
        validation: Messages to stop, choose and calibrate with; None: a seventh of the examples is kept apart.
        max_wrong: See `agentkit.intents.train`.
        layers: How many layers are tuned; None: the upper half.
        progress: Told of embedding and tuning.

    Raises:
        ConfigurationError: The examples cannot be learned from, see `agentkit.intents.train`.
        ModelRefused: The encoder cannot be tuned.
        ModelError: Tuning failed.
    """
    base = _tunable(encoder)
    layers = layers or max(1, base.layers // 2)
    if not 1 <= layers <= base.layers:
        raise ConfigurationError(
            f"{layers} layers cannot be tuned: `{base.id}` has {base.layers}", hint="name fewer"
        )
    if validation is None:
        kept, held = split_off(examples)
    else:
        kept, held = list(examples), list(validation)
    progress = progress or Silent()
    data = arrange(kept, embed(base, kept, progress), (held, embed(base, held, progress)))
    chosen = choose(data)
    tuned = _tune(base, kept, held, data, layers, progress)
    return _joined(base, examples, kept, held, data, chosen, tuned, max_wrong)


def _tunable(encoder: Encoder) -> TransformersEncoder:
    from agentkit.models.transformers_encoder import TransformersEncoder

    if not isinstance(encoder, TransformersEncoder) or encoder.layers == 0:
        raise ModelRefused(
            f"The encoder {encoder.id} cannot be tuned: its layers are not those of BERT.",
            hint="Tune `minilm-l6`, or train without --tune.",
        )
    return encoder


def _tune(
    base: TransformersEncoder,
    kept: Sequence[IntentExample],
    held: Sequence[IntentExample],
    data: TrainingData,
    layers: int,
    progress: Progress,
) -> Tuned:
    import torch

    from agentkit.intents.tuning import TuningRows, tune

    assert data.validation is not None
    lower = base.layers - layers

    def rows(examples: Sequence[IntentExample], targets: Sequence[int]) -> TuningRows:
        states = base.states([each.text for each in examples], lower)
        # Rounded: 15,000 messages of 11 tokens take 130 MB so.
        return TuningRows(
            [each.to(torch.bfloat16) for each in states], numpy.array(targets, dtype=numpy.int64)
        )

    learned = [index for index, trainable in enumerate(data.trainable) if trainable]
    return tune(
        base.upper_layers(lower),
        rows([kept[index] for index in learned], data.rows.targets[learned].tolist()),
        rows(held, data.validation.targets.tolist()),
        intents=data.intents,
        classes=data.classes,
        first=base.pooling == "first",
        progress=progress,
    )


def _joined(
    base: TransformersEncoder,
    examples: Sequence[IntentExample],
    kept: Sequence[IntentExample],
    held: Sequence[IntentExample],
    data: TrainingData,
    chosen: Chosen,
    tuned: Tuned,
    max_wrong: float | None,
) -> IntentModel:
    from agentkit.models.tuned_encoder import TunedEncoder

    assert data.validation is not None
    weight = chosen.lexical_weight
    features = Features(data.lexicon if weight else None, weight, TunedEncoder.of(base, tuned.layers))
    read, space = features.read([each.text for each in held], data.validation.vectors)
    targets, inside = data.validation.targets, data.validation.targets < data.intents
    heads = [_side_by_side(chosen, tuned, share, read[inside], data, inside) for share in _SHARES]
    losses = [cross_entropy(head.logits(read[inside])[:, : data.intents], targets[inside]) for head in heads]
    head = heads[int(numpy.argmin(losses))]
    logits = head.logits(read)
    _, known = features.read([each.text for each in kept], data.rows.vectors)
    around = Surroundings.of(known, data.rows.targets, data.intents)
    seen = look(logits, targets, data.intents, space, around)
    enough = int((seen.kind == STRANGE).sum()) >= ENOUGH_STRANGERS
    seen = Seen.joined([seen, without_their_intent(logits, space, known, data)])
    gate, threshold, figures = fit_scope(
        seen, max_wrong, stranger_costs=_STRANGER_COSTS, enough_strangers=enough
    )
    right = logits[inside][:, : data.intents].argmax(axis=1) == targets[inside]
    return IntentModel(
        labels=data.labels,
        features=features,
        head=head,
        temperature=fit_temperature(logits[inside][:, : data.intents], targets[inside]),
        gate=gate,
        threshold=threshold,
        around=around,
        encoder_id=base.id,
        data_hash=hash_of(examples),
        figures=figures.model_copy(
            update={
                "examples": sum(each.intent is not None for each in examples),
                "out_of_scope": sum(each.intent is None for each in examples),
                "strength": chosen.strength,
                "accuracy": float(right.mean()),
                "tuned_epochs": tuned.epoch,
            }
        ),
    )


def _side_by_side(
    chosen: Chosen, tuned: Tuned, share: float, read: Floats, data: TrainingData, inside: Booleans
) -> Head:
    """One head over all blocks: the logits of the frozen and of the tuned head, each at its best temperature, added."""
    assert data.validation is not None
    targets = data.validation.targets[inside]
    frozen, width = chosen.heads[0], chosen.heads[0].weight.shape[0]
    cold = fit_temperature(frozen.logits(read[:, :width])[:, : data.intents], targets)
    warm = fit_temperature(tuned.head.logits(read[:, width:])[:, : data.intents], targets)
    one, other = numpy.float32((1 - share) / cold), numpy.float32(share / warm)
    return Head(
        numpy.vstack([frozen.weight * one, tuned.head.weight * other]),
        frozen.bias * one + tuned.head.bias * other,
    )
