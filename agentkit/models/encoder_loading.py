"""From a checked folder to the network of an encoder: our own for BERT, transformers' for other families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from agentkit.errors import ModelRefused
from agentkit.models.bert_network import BertNetwork, is_known, weight_shapes
from agentkit.models.folder import read_config, weight_files
from agentkit.models.pretrained import load_pretrained

if TYPE_CHECKING:
    from agentkit.models.folder import ModelFolder


class ForeignNetwork(torch.nn.Module):
    """A transformers model, called as `BertNetwork` is.

    Args:
        model: Its output has `last_hidden_state`.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, keep: int | None = None, *, stop: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """See `BertNetwork`; it never stops before its end."""
        output = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=keep is not None)
        return output.last_hidden_state, output.hidden_states[keep] if keep is not None else None


def load_network(folder: ModelFolder) -> tuple[torch.nn.Module, int]:
    """The network of an encoder in float32, ready for inference, and the length of its vectors.

    Raises:
        ModelRefused: The model is not known, or weights are missing or of another shape.
    """
    config = read_config(folder.path)
    if is_known(config):
        weights = _weights(folder, config)
        return BertNetwork(config, weights).eval(), int(config["hidden_size"])
    model = load_pretrained(folder, "AutoModel", torch.float32, unused=("pooler.", "bert.pooler."))
    return ForeignNetwork(model), int(model.config.hidden_size)


def _weights(folder: ModelFolder, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found: dict[str, torch.Tensor] = {}
    try:
        for path in weight_files(folder.path):
            found |= {name.removeprefix("bert."): value for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise ModelRefused(
            f"{folder.path} cannot be loaded: {error}", hint="Fetch the model again."
        ) from error
    shapes = weight_shapes(config)
    wrong = sorted(name for name, shape in shapes.items() if name not in found or found[name].shape != shape)
    if wrong:
        raise ModelRefused(
            f"{folder.path}: weights are missing, or their shape is not that of the configuration: "
            f"{', '.join(wrong)[:300]}",
            hint="The folder is incomplete, or its config.json belongs to another model.",
        )
    return {name: found[name] for name in shapes}
