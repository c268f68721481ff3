"""Layers whose weights are laid out for computing, beside the plain ones that are trained."""

from __future__ import annotations

import pytest
import torch

from agentkit.models.bert_layer import BertLayer
from agentkit.models.bulk import quick_products
from agentkit.models.machine_code import instructions
from agentkit.models.packed_layer import PackedLayer, packed, plain

D, INNER, HEADS = 64, 160, 4


def random_layer(seed: int = 0, *, inner: int = INNER) -> BertLayer:
    """A layer of 64 dimensions and 4 heads with random weights, as BERT's are distributed."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random) * 0.1

    shapes = {"qkv": (3 * D, D), "output": (D, D), "up": (inner, D), "down": (D, inner)}
    weights = {f"{name}_weight": draw(*shape) for name, shape in shapes.items()}
    weights |= {f"{name}_bias": draw(shape[0]) for name, shape in shapes.items()}
    for norm in ("attention_norm", "feed_norm"):
        weights |= {f"{norm}_weight": 1 + draw(D), f"{norm}_bias": draw(D)}
    return BertLayer(weights, HEADS, 1e-12).eval()


@pytest.mark.parametrize("tokens", [1, 2, 10, 300])
def test_a_packed_layer_computes_what_the_plain_one_does(tokens: int) -> None:
    layer = random_layer()
    (other,) = packed(torch.nn.ModuleList([layer]))
    hidden = torch.randn(3, tokens, D)
    mask = torch.ones(3, 1, 1, tokens, dtype=torch.bool)
    mask[1, ..., tokens // 2 + 1 :] = False
    with torch.inference_mode():
        expected, found = layer(hidden, mask), other(hidden, mask)
    assert (found - expected).abs().max() < 1e-5


def test_a_packed_layer_gives_the_plain_one_back_bit_for_bit() -> None:
    layer = random_layer()
    (again,) = plain(packed(torch.nn.ModuleList([layer])))
    assert type(again) is BertLayer
    assert again.state_dict().keys() == layer.state_dict().keys()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in layer.state_dict().items())


def test_what_is_trained_afterwards_is_a_copy() -> None:
    layers = packed(torch.nn.ModuleList([random_layer()]))
    hidden = torch.randn(1, 5, D)
    before = layers[0](hidden, None).detach().clone()
    (copied,) = plain(layers)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1.0)
    assert torch.equal(layers[0](hidden, None), before)


def test_quick_products_are_near_and_leave_later_ones_as_they_were() -> None:
    (layer,) = packed(torch.nn.ModuleList([random_layer()]))
    hidden = torch.randn(2, 7, D)
    with torch.inference_mode():
        exact = layer(hidden, None)
        with quick_products():
            quick = layer(hidden, None)
        assert torch.equal(layer(hidden, None), exact)
    similarity = torch.cosine_similarity(quick.float(), exact, dim=-1)
    assert similarity.min() > 0.999


def test_layers_are_packed_where_the_processor_has_machine_code_for_them() -> None:
    (layer,) = packed(torch.nn.ModuleList([random_layer()]))
    assert isinstance(layer, PackedLayer) == (instructions() is not None)
    (odd,) = packed(torch.nn.ModuleList([random_layer(inner=150)]))
    assert type(odd) is BertLayer
