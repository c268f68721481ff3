"""Quantised products: close to the exact ones, the same in any batch, and lossless where the weights allow it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from agentkit.models.engine.linear import FloatLinear, PackedLinear
from agentkit.models.engine.packed_weights import PackedWeights, packed, unpacked
from agentkit.models.kernels import Kernels
from agentkit.models.machine_code import Instructions, instructions

EPSILON = 1e-6
ROWS = (1, 2, 3, 4, 7, 8, 9, 13, 40)


def usable() -> list[Instructions]:
    """What this processor multiplies with, and what it could if it were older."""
    best = instructions()
    older: dict[Instructions | None, list[Instructions]] = {
        "avx512bf16": ["avx512bf16", "avx512vnni", "avx2"],
        "avx512vnni": ["avx512vnni", "avx2"],
        "avxvnni": ["avxvnni", "avx2"],
        "avx2": ["avx2"],
    }
    return older.get(best, [])


@pytest.fixture(scope="module", params=usable())
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return Kernels(request.param)


def on_a_grid(rows: int, columns: int, *, steps: int = 15) -> torch.Tensor:
    """Weights as a file of 4 bits gives them: a scale and an offset for every 32."""
    numbers = torch.randint(0, steps + 1, (rows, columns // 32, 32)).float()
    scale, offset = torch.rand(rows, columns // 32, 1) + 0.1, torch.rand(rows, columns // 32, 1)
    return (numbers * scale - 9 * offset).reshape(rows, columns).bfloat16()


def weights_of(bits: int, rows: int, columns: int) -> PackedWeights:
    found = packed(on_a_grid(rows, columns) if bits == 4 else torch.randn(rows, columns))
    assert found.bits == bits
    return found


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("outputs", [96, 40])
def test_products_are_close_to_those_of_the_weights_they_stand_for(
    kernels: Kernels, bits: int, outputs: int
) -> None:
    torch.manual_seed(1)
    weights, bias, norm = weights_of(bits, outputs, 160), torch.randn(outputs), torch.randn(160)
    exact, found = FloatLinear(unpacked(weights), bias), PackedLinear(kernels, weights, bias)
    for rows in ROWS:
        inputs = torch.randn(rows, 160) * torch.logspace(-2, 2, rows)[:, None]
        gated, onto = torch.randn(rows, 320) * 4, torch.randn(rows, outputs)
        assert relative(found(inputs, onto.clone()), exact(inputs, onto)) < 0.01
        assert relative(found.of_normed(inputs, norm, EPSILON), exact.of_normed(inputs, norm, EPSILON)) < 0.01
        assert relative(found.of_gated(gated, onto.clone()), exact.of_gated(gated, onto)) < 0.015


@pytest.mark.parametrize("bits", [4, 8])
def test_a_row_is_bit_for_bit_the_same_alone_and_in_any_batch(kernels: Kernels, bits: int) -> None:
    torch.manual_seed(2)
    product = PackedLinear(kernels, weights_of(bits, 528, 160), torch.randn(528))
    norm, onto = torch.randn(160), torch.randn(40, 528)
    inputs, gated = torch.randn(40, 160) * torch.rand(40, 1) * 50, torch.randn(40, 320)
    for rows in ROWS:
        normed = product.of_normed(inputs[:rows], norm, EPSILON)
        added = product.of_gated(gated[:rows], onto[:rows].clone())
        for row in range(rows):
            one = slice(row, row + 1)
            assert torch.equal(product.of_normed(inputs[one], norm, EPSILON)[0], normed[row])
            assert torch.equal(product.of_gated(gated[one], onto[one].clone())[0], added[row])


@pytest.mark.parametrize("bits", [4, 8])
def test_inputs_of_zeros_large_and_small_numbers_give_finite_results(kernels: Kernels, bits: int) -> None:
    torch.manual_seed(3)
    bias = torch.randn(48)
    product = PackedLinear(kernels, weights_of(bits, 48, 64), bias)
    assert torch.equal(product(torch.zeros(1, 64), torch.zeros(1, 48))[0], bias)
    extremes = torch.tensor([[1e30] * 64, [-1e30] * 64, [1e-35] * 64, [88.0, -88.0] * 32])
    assert torch.isfinite(product(extremes / 1e3, torch.zeros(4, 48))).all()
    gates = torch.cat([torch.full((1, 64), 200.0), torch.full((1, 64), -200.0)])
    gated = product.of_gated(torch.cat([gates, torch.ones(2, 64)], 1), torch.zeros(2, 48))
    assert torch.isfinite(gated).all()
    assert torch.allclose(gated[1], bias)  # a gate that is shut lets nothing through


@pytest.mark.parametrize("steps", [15, 14, 12, 9])
def test_weights_from_a_four_bit_file_lose_nothing(steps: int) -> None:
    torch.manual_seed(4)
    weight = on_a_grid(256, 128, steps=steps)
    found = packed(weight)
    assert found.bits == 4
    assert relative(unpacked(found), weight.float()) < 0.003  # bfloat16 itself rounds by .0015


def test_other_weights_are_kept_in_eight_bits() -> None:
    torch.manual_seed(5)
    one_bad_group = on_a_grid(64, 64).float()
    one_bad_group[3, 32:] = torch.randn(32) * 30
    for weight in (torch.randn(64, 64), one_bad_group):
        found = packed(weight)
        assert found.bits == 8
        assert relative(unpacked(found), weight) < 0.01


def test_shapes_that_do_not_fit_are_refused_before_any_memory_is_read(kernels: Kernels) -> None:
    product = PackedLinear(kernels, weights_of(8, 48, 64), None)
    for inputs in (torch.zeros(1, 32), torch.zeros(1, 64, dtype=torch.float64)):
        with pytest.raises(RuntimeError, match="is needed"):
            product(inputs, torch.zeros(1, 48))
    with pytest.raises(RuntimeError, match="is needed"):
        product(torch.zeros(2, 64), torch.zeros(1, 48))
    with pytest.raises(RuntimeError, match="is needed"):
        product.of_normed(torch.zeros(1, 64), torch.ones(32), EPSILON)
    with pytest.raises(RuntimeError, match="shapes"):
        PackedWeights(torch.zeros(2, 2, 512, dtype=torch.uint8), torch.zeros(48))


def test_the_norm_and_the_gate_are_those_of_torch(kernels: Kernels) -> None:
    """With weights that copy their inputs, what comes before the product shows by itself."""
    torch.manual_seed(6)
    copy = PackedLinear(kernels, packed(torch.eye(64)), None)
    inputs, norm = torch.randn(9, 64), torch.rand(64) + 0.5
    assert relative(copy.of_normed(inputs, norm, EPSILON), F.rms_norm(inputs, (64,), norm, EPSILON)) < 0.01
    gate, value = torch.randn(9, 64) * 5, torch.ones(9, 64)
    found = copy.of_gated(torch.cat([gate, value], 1), torch.zeros(9, 64))
    assert relative(found, F.silu(gate)) < 0.01
