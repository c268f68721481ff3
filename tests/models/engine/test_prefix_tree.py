"""What is kept is what was put in, whatever comes between."""

from __future__ import annotations

import random

import torch

from agentkit.models.engine.prefix_tree import PrefixTree, shared_length
from agentkit.models.engine.states import KeyValueStates


def states_of(tokens: list[int]) -> KeyValueStates:
    """States that say which token and place they belong to."""
    states = KeyValueStates(2, 1, 3, torch.float32)
    values = torch.tensor([float(1000 * place + token) for place, token in enumerate(tokens)])
    states.append(values[None, None, None, :, None].expand(2, 2, 1, len(tokens), 3))
    return states


SIZE = 2 * 2 * 1 * 3 * 4
"""Bytes a token."""


def taken(tree: PrefixTree, tokens: list[int], *, stays: int = 10**9) -> KeyValueStates:
    states = KeyValueStates(2, 1, 3, torch.float32)
    tree.lend(states, tokens, stays)
    return states


def same(one: KeyValueStates, other: KeyValueStates) -> bool:
    return one.length == other.length and torch.equal(
        one.segment(0, one.length), other.segment(0, one.length)
    )


def test_a_prefix_gives_back_its_own_states_after_any_insertions() -> None:
    chance = random.Random(3)
    tree = PrefixTree(10**9)
    inserted: list[list[int]] = []
    for _ in range(300):
        start = chance.choice(inserted)[: chance.randrange(40)] if inserted and chance.random() < 0.7 else []
        tokens = start + [chance.randrange(3) for _ in range(chance.randrange(1, 40))]
        tree.insert(tokens, states_of(tokens))
        inserted.append(tokens)
    for tokens in inserted:
        probe = [*tokens[: chance.randrange(1, len(tokens) + 1)], 7]
        found = taken(tree, probe)
        assert found.length == len(probe) - 1 == tree.match(probe)
        assert same(found, states_of(probe[:-1]))


def test_what_two_sequences_share_is_kept_once() -> None:
    tree = PrefixTree(10**9)
    shared = list(range(100))
    tree.insert([*shared, 200], states_of([*shared, 200]))
    one = tree.bytes
    tree.insert([*shared, 300], states_of([*shared, 300]))
    assert tree.bytes - one == one / 101


def test_the_least_recently_used_end_makes_room_and_the_shared_part_stays() -> None:
    shared = list(range(50))
    tree = PrefixTree((50 + 3 * 20) * SIZE)
    ends = [[*shared, *([100 + number] * 20)] for number in range(5)]
    for tokens in ends:
        tree.insert(tokens, states_of(tokens))
        tree.match(shared)
    assert [tree.match(tokens) for tokens in ends] == [50, 50, 70, 70, 70]
    taken(tree, ends[2])
    tree.insert([1, 2, 3], states_of([1, 2, 3]))
    assert [tree.match(tokens) for tokens in ends] == [50, 50, 70, 50, 70]
    assert tree.bytes <= (50 + 3 * 20) * SIZE


def test_a_sequence_larger_than_the_budget_is_not_kept() -> None:
    tree = PrefixTree(100)
    tree.insert([1, 2, 3, 4, 5], states_of([1, 2, 3, 4, 5]))
    assert tree.bytes == 0
    assert tree.match([1, 2]) == 0


def test_of_a_long_sequence_that_does_not_fit_the_beginning_is_kept() -> None:
    tree = PrefixTree(1100 * SIZE)
    tokens = [place % 5 for place in range(2000)]
    tree.insert(tokens, states_of(tokens))
    kept = tree.match(tokens)
    assert 512 <= kept <= 1100
    assert tree.bytes == kept * SIZE
    assert same(taken(tree, tokens), states_of(tokens[:kept]))


def test_who_writes_on_its_copy_does_not_change_what_others_get() -> None:
    tree = PrefixTree(10**9)
    tree.insert([1, 2, 3], states_of([1, 2, 3]))
    mine = taken(tree, [1, 2, 3])
    mine.truncate(1)
    mine.append(torch.full((2, 2, 1, 2, 3), 9.0))
    assert same(taken(tree, [1, 2, 3]), states_of([1, 2, 3]))


def test_what_a_sequence_alone_needs_leaves_the_tree_until_it_comes_back() -> None:
    tree = PrefixTree(10**9)
    static = list(range(40))
    one, other = [*static, 50, 51, 52], [*static, *([60] * 30)]
    for tokens in (one, other):
        tree.insert(tokens, states_of(tokens))
    mine = taken(tree, [*one, 53], stays=len(static))
    assert same(mine, states_of(one))
    assert tree.bytes == len(other) * SIZE
    assert [tree.match(tokens) for tokens in (one, other)] == [40, 70]
    longer = [*one, 53, 54]
    tree.insert(longer, states_of(longer))
    assert same(taken(tree, longer), states_of(longer))
    assert tree.bytes == (len(other) + 5) * SIZE


def test_the_static_beginning_and_what_others_go_on_from_stay() -> None:
    tree = PrefixTree(10**9)
    tokens = list(range(1300))  # more than one run
    tree.insert(tokens, states_of(tokens))
    assert same(taken(tree, tokens, stays=500), states_of(tokens))
    assert tree.match(tokens) == 512
    tree.insert(tokens, states_of(tokens))
    branch = [*tokens[:1100], 7]
    tree.insert(branch, states_of(branch))
    assert same(taken(tree, tokens, stays=0), states_of(tokens))
    assert [tree.match(each) for each in (tokens, branch)] == [1100, 1101]


def test_an_end_that_is_longer_than_what_is_asked_for_stays_unless_little_is_lost() -> None:
    for rest, left in ((16, 0), (17, 117)):
        tree = PrefixTree(10**9)
        tokens = list(range(100 + rest))
        tree.insert(tokens, states_of(tokens))
        assert same(taken(tree, tokens[:100], stays=0), states_of(tokens[:100]))
        assert tree.match(tokens) == left


def test_shared_length_finds_the_first_difference() -> None:
    chance = random.Random(1)
    for _ in range(500):
        one = tuple(chance.randrange(2) for _ in range(chance.randrange(12)))
        other = tuple(chance.randrange(2) for _ in range(chance.randrange(12)))
        pairs = zip(one, other, strict=False)
        plain = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
        assert shared_length(one, other) == plain
