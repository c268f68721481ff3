"""Products and attention in float32 by our own machine code: what torch computes, and the same in any batch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from agentkit.models.kernels import (
    Kernels,
    float_attention_fits,
    float_blocks,
    float_matrix,
    takes_floats,
)
from tests.models.engine.test_kernels import usable

ROWS = (1, 2, 5, 11, 12, 13, 25, 47, 48, 49, 130)


@pytest.fixture(scope="module", params=usable())
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return Kernels(request.param)


@pytest.mark.parametrize(("outputs", "width"), [(16, 4), (48, 64), (384, 100), (1152, 384)])
def test_products_are_those_of_torch_for_any_number_of_rows(
    kernels: Kernels, outputs: int, width: int
) -> None:
    torch.manual_seed(1)
    weight, bias = torch.randn(outputs, width), torch.randn(outputs)
    blocks = float_blocks(weight)
    for rows in ROWS:
        inputs, onto = torch.randn(rows, width), torch.randn(rows, outputs)
        exact = F.linear(inputs.double(), weight.double(), bias.double())
        assert (kernels.product_of_floats(inputs, blocks, bias) - exact).abs().max() < 1e-4
        before = onto.clone()
        assert (kernels.product_of_floats(inputs, blocks, bias, onto) - exact - onto).abs().max() < 1e-4
        assert torch.equal(onto, before)


def test_a_row_is_bit_for_bit_the_same_in_any_batch(kernels: Kernels) -> None:
    torch.manual_seed(2)
    blocks, bias, inputs = float_blocks(torch.randn(96, 64)), torch.randn(96), torch.randn(130, 64)
    together = kernels.product_of_floats(inputs, blocks, bias)
    for row in range(len(inputs)):
        assert torch.equal(kernels.product_of_floats(inputs[row : row + 1], blocks, bias)[0], together[row])


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("tokens", [1, 2, 15, 16, 17, 64])
def test_attention_is_that_of_torch(kernels: Kernels, tokens: int, size: int) -> None:
    torch.manual_seed(3)
    texts, heads = 3, 5
    fused = torch.randn(texts * tokens, 3 * heads * size)
    query, key, value = fused.view(texts, tokens, 3, heads, size).permute(2, 0, 3, 1, 4).double()
    exact = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(texts * tokens, -1)
    assert (kernels.attention_of_floats(fused, texts, heads) - exact).abs().max() < 2e-6


def test_attention_bears_scores_of_any_size(kernels: Kernels) -> None:
    fused = torch.full((4, 48), 1e4)
    fused[2] = -1e4
    query, key, value = fused.view(1, 4, 3, 1, 16).permute(2, 0, 3, 1, 4)
    exact = F.scaled_dot_product_attention(query, key, value).reshape(4, 16)
    assert torch.equal(kernels.attention_of_floats(fused, 1, 1), exact)


def test_laid_out_weights_are_turned_back_bit_for_bit() -> None:
    weight = torch.randn(48, 20)
    assert torch.equal(float_matrix(float_blocks(weight)), weight)


def test_what_does_not_fit_is_refused_before_memory_is_read(kernels: Kernels) -> None:
    assert [takes_floats(shape) for shape in ((40, 64), (48, 66), (48, 64))] == [False, False, True]
    assert [float_attention_fits(*each) for each in ((65, 32), (8, 40), (0, 32), (64, 32))] == [
        False,
        False,
        False,
        True,
    ]
    blocks, bias = float_blocks(torch.randn(16, 8)), torch.randn(16)
    for inputs in (torch.randn(2, 12), torch.randn(2, 8).bfloat16(), torch.randn(8, 2).T):
        with pytest.raises(RuntimeError, match=r"where \(2, 8\) of float32 is needed"):
            kernels.product_of_floats(inputs, blocks, bias)
    with pytest.raises(RuntimeError, match="attention over 65 tokens"):
        kernels.attention_of_floats(torch.randn(65, 96), 1, 1)
    with pytest.raises(RuntimeError, match="is needed"):
        kernels.attention_of_floats(torch.randn(7, 96), 2, 1)
    with pytest.raises(RuntimeError, match="attention over 0 tokens"):
        kernels.attention_of_floats(torch.randn(0, 96), 1, 1)
