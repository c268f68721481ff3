"""Attention in the kernel: that of torch, the same in any batch, and blind to what has not been written."""

from __future__ import annotations

import pytest
import torch

from agentkit.models.engine.attention import Attention, CompiledAttention, TorchAttention
from agentkit.models.engine.shape import Shape
from agentkit.models.engine.states import KeyValueStates
from agentkit.models.kernels import Kernels
from tests.models.engine.test_kernels import usable

SHAPES = [(12, 2, 128), (14, 2, 64), (9, 3, 64), (4, 4, 32), (5, 1, 256)]
KNOWN = (0, 1, 31, 32, 300)
NEW = (1, 2, 5, 8, 17, 70)


@pytest.fixture(scope="module", params=usable())
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return Kernels(request.param)


def shape_of(heads: tuple[int, int, int]) -> Shape:
    queries, groups, size = heads
    return Shape(
        layers=2,
        heads=queries,
        key_value_heads=groups,
        head_size=size,
        vocabulary=9,
        norm_epsilon=1e-6,
        rotary_base=1e4,
    )


def known_states(shape: Shape, known: int, new: int, dtype: torch.dtype) -> KeyValueStates:
    """States of `known` tokens, the same for the same number; what lies behind them is no number."""
    torch.manual_seed(known)
    states = KeyValueStates(shape.layers, shape.key_value_heads, shape.head_size, dtype)
    states.reserve(known + new)
    states.of_layer(0).fill_(torch.nan)
    states.of_layer(1).fill_(torch.nan)
    segment = torch.randn(shape.layers, 2, shape.key_value_heads, known, shape.head_size) * 2
    states.append(segment.bfloat16().to(dtype))
    return states


def projected(shape: Shape, rows: int) -> torch.Tensor:
    torch.manual_seed(rows)
    return torch.randn(rows, (shape.heads + 2 * shape.key_value_heads) * shape.head_size) * 2


def attended(attention: Attention, states: KeyValueStates, inputs: torch.Tensor) -> torch.Tensor:
    return attention.of_pass([(states, len(inputs))])(1, inputs).clone()


@pytest.mark.parametrize("heads", SHAPES)
def test_it_sees_what_torch_sees_and_keeps_what_torch_keeps(
    kernels: Kernels, heads: tuple[int, int, int]
) -> None:
    shape = shape_of(heads)
    exact, ours = TorchAttention(shape, torch.float32, torch.float32), CompiledAttention(shape, kernels)
    for known in KNOWN:
        for new in NEW:
            inputs = projected(shape, new)
            theirs = known_states(shape, known, new, torch.float32)
            mine = known_states(shape, known, new, torch.bfloat16)
            expected, found = attended(exact, theirs, inputs), attended(ours, mine, inputs)
            assert float((found - expected).norm() / expected.norm()) < 0.01  # rounding of the new states
            here, there = (states.of_layer(1)[:, :, : known + new].float() for states in (mine, theirs))
            assert torch.allclose(here, there, rtol=0.008, atol=1e-6)


@pytest.mark.parametrize("heads", SHAPES)
def test_a_row_is_bit_for_bit_the_same_alone_among_others_and_beside_other_sequences(
    kernels: Kernels, heads: tuple[int, int, int]
) -> None:
    shape = shape_of(heads)
    attention = CompiledAttention(shape, kernels)
    inputs, other = projected(shape, 19), projected(shape, 3)
    for known in (0, 45):
        together = attended(attention, known_states(shape, known, 19, torch.bfloat16), inputs)
        alone = known_states(shape, known, 19, torch.bfloat16)
        for row in range(19):
            assert torch.equal(attended(attention, alone, inputs[row : row + 1])[0], together[row])
            alone.length += 1
        beside = attention.of_pass(
            [
                (known_states(shape, 7, 3, torch.bfloat16), 3),
                (known_states(shape, known, 19, torch.bfloat16), 19),
            ]
        )(1, torch.cat([other, inputs]))
        assert torch.equal(beside[3:], together)


def test_large_scores_leave_all_weight_with_the_largest(kernels: Kernels) -> None:
    shape = shape_of((2, 1, 32))
    states = known_states(shape, 40, 1, torch.bfloat16)
    keys, values = states.of_layer(1)
    keys[:, :40] = 0
    keys[:, 33] = 1000.0
    inputs = torch.zeros(1, 4, 32)
    inputs[:, :2] = 500.0
    found = attended(CompiledAttention(shape, kernels), states, inputs.view(1, -1))
    # The angles of position 40 turn the queries, but not so far that the product with key 33 would be small.
    assert torch.isfinite(found).all()
    assert torch.allclose(found.view(2, 32), values[0, 33].float().expand(2, 32))


@pytest.mark.parametrize("step", [0.02, 0.3, 4.0])
def test_scores_that_grow_or_fall_all_the_time_are_weighed_as_torch_weighs_them(
    kernels: Kernels, step: float
) -> None:
    shape, known = shape_of((4, 2, 64)), 500
    inputs = projected(shape, 3)
    found = []
    for attention, dtype in (
        (TorchAttention(shape, torch.float32, torch.float32), torch.float32),
        (CompiledAttention(shape, kernels), torch.bfloat16),
    ):
        states = known_states(shape, known, 3, dtype)
        keys, _ = states.of_layer(1)
        direction = torch.ones(64) * torch.tensor([[1.0], [-1.0]])  # of each group
        growing = (torch.arange(known) // 16)[None, :, None] * step * direction[:, None]
        keys[:, :known] = growing.bfloat16().to(dtype)
        found.append(attended(attention, states, inputs))
    assert float((found[1] - found[0]).norm() / found[0].norm()) < 0.02


def test_states_and_heads_that_do_not_fit_are_refused_before_any_memory_is_touched(kernels: Kernels) -> None:
    rotation = (torch.zeros(2, 16), torch.zeros(2, 16))
    fitting = torch.zeros(2, 1, 40, 32, dtype=torch.bfloat16)

    def look(kept: torch.Tensor, known: int, heads: int = 2, rows: int = 2) -> None:
        kernels.attention(
            torch.zeros(rows, 4, 32),
            kept,
            known,
            heads=heads,
            rotation=rotation,
            results=torch.zeros(2, 64),
        )

    look(fitting, 38)
    for kept, known in ((fitting, 39), (fitting.float(), 0), (fitting.transpose(2, 3), 0)):
        with pytest.raises(RuntimeError, match="do not fit"):
            look(kept, known)
    with pytest.raises(RuntimeError, match="is needed"):
        look(fitting, 0, rows=1)
    with pytest.raises(RuntimeError, match="groups"):
        look(torch.zeros(2, 1, 40, 24, dtype=torch.bfloat16), 0)
