"""An encoder whose upper layers were tuned for one task; the lower ones are those of the encoder that it came from.

    base:   text -> layers 1 … j -> layers j+1 … n  -> the vector that memory and knowledge are searched with
                               \\-> tuned layers     -> the vector that the task reads

So a message is tokenised once and its lower layers are computed once: what the base just embedded goes on here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from agentkit.errors import ModelRefused
from agentkit.models.bulk import quick_products
from agentkit.models.transformers_encoder import TransformersEncoder

if TYPE_CHECKING:
    import torch

    from agentkit.models.protocols import Vectors

_BATCH_TOKENS = 4096
_BULK = 256
"""Tokens of a batch from which products are made in bfloat16: some twenty messages."""


class TunedEncoder:
    """Implements `Encoder` on top of another one; `close` leaves that one open.

    Args:
        base: The encoder that was tuned.
        layers: Its upper layers after tuning, a `torch.nn.ModuleList` of `BertLayer`.
        identity: Identity of base and tuned layers together.
    """

    def __init__(self, base: TransformersEncoder, layers: Any, identity: str) -> None:
        from agentkit.models.packed_layer import packed

        self.id = identity
        self.dimension = base.dimension
        self._base = base
        self._layers: Any = packed(layers)
        self._from = base.layers - len(layers)
        base.keep_states(self._from)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder`; in bulk, tuned layers multiply in bfloat16, which their weights are of anyway."""
        import torch

        from agentkit.models.bert_network import attention_mask, pooled

        states = self._base.states(texts, self._from)
        result = numpy.empty((len(texts), self.dimension), numpy.float32)
        for batch in batches([len(each) for each in states], _BATCH_TOKENS):
            hidden, mask = padded([states[row] for row in batch])
            with torch.inference_mode():
                attended = attention_mask(mask)
                with quick_products() if mask.numel() > _BULK else nullcontext():
                    for layer in self._layers:
                        hidden = layer(hidden, attended)
                first = self._base.pooling == "first"
                result[batch] = pooled(hidden.float(), mask, first=first).numpy()
        return result

    def close(self) -> None:
        """Free the tuned layers."""
        self._layers = None

    def write(self, path: Path) -> str:
        """Write the tuned layers as safetensors and return the SHA-256 of the file."""
        raw = _serialised(self._layers)
        path.write_bytes(raw)
        return hashlib.sha256(raw).hexdigest()

    @classmethod
    def of(cls, base: TransformersEncoder, layers: Any) -> TunedEncoder:
        """The encoder of freshly tuned layers, rounded to bfloat16 as a file holds them."""
        import torch

        with torch.no_grad():
            for parameter in layers.parameters():
                parameter.requires_grad_(False).copy_(parameter.to(torch.bfloat16))
        digest = hashlib.sha256(_serialised(layers)).hexdigest()
        return cls(base, layers, f"{base.id}+{digest[:12]}")

    @classmethod
    def read(cls, base: TransformersEncoder, path: Path, sha256: str) -> TunedEncoder:
        """The encoder of a file that `write` wrote.

        Args:
            base: The encoder that was tuned.
            path: The file.
            sha256: What `write` returned.

        Raises:
            ModelRefused: The file is missing, damaged, or not of this encoder's layers.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        hint = "Train again, or restore the file."
        try:
            raw = path.read_bytes()
            if hashlib.sha256(raw).hexdigest() != sha256:
                raise ModelRefused(f"{path} is damaged: its hash is not the recorded one", hint=hint)
            tensors = load(raw)
        except (OSError, SafetensorError) as error:
            raise ModelRefused(f"{path} cannot be read: {error}", hint=hint) from error
        count = len({name.partition(".")[0] for name in tensors})
        layers = base.upper_layers(max(0, base.layers - count))
        try:
            layers.load_state_dict({name: value.float() for name, value in tensors.items()})
        except RuntimeError as error:
            raise ModelRefused(f"{path} does not hold layers of {base.id}: {error}", hint=hint) from error
        return cls(base, layers, f"{base.id}+{sha256[:12]}")


def padded(states: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token vectors of several texts as [n, t, d], and the mask [n, t] of what is no padding."""
    import torch

    longest = max(len(each) for each in states)
    hidden = torch.zeros((len(states), longest, states[0].shape[1]))
    mask = torch.zeros((len(states), longest), dtype=torch.long)
    for row, each in enumerate(states):
        hidden[row, : len(each)] = each
        mask[row, : len(each)] = 1
    return hidden, mask


def batches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Rows in batches of similar length and at most `most` tokens, padding included."""
    found: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if not found or (len(found[-1]) + 1) * lengths[row] > most:
            found.append([])
        found[-1].append(row)
    return found


def _serialised(layers: Any) -> bytes:
    """The weights of layers as the bytes of a safetensors file, in bfloat16."""
    import torch
    from safetensors.torch import save

    from agentkit.models.packed_layer import plain

    named = plain(layers).state_dict().items()
    return bytes(save({name: value.detach().to(torch.bfloat16).contiguous() for name, value in named}))
