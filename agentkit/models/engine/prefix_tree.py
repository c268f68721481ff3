"""Key-value states of token prefixes, shared by all conversations of a process.

A tree whose edges are runs of tokens: what two prompts have in common (instructions, tools) is kept once, and each
conversation hangs its own history below it (as RadixAttention, Zheng et al. 2023, arXiv 2312.07104). A running sequence
works on a copy of its path, so that nobody can change what another one reads; copying is memory bandwidth, some
milliseconds for a thousand tokens, where computing them takes a second. Where several run, what only one of them needs
leaves the tree meanwhile, so that it is not in memory twice, and comes back with what was added.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from agentkit.models.heap import tidy_heap

if TYPE_CHECKING:
    import torch

    from agentkit.models.engine.states import States


_RUN: Final = 512
"""Most tokens of one edge: what is copied at once, when it is kept and when two sequences part."""
_TIDY: Final = 32 * 1024 * 1024
"""Bytes of new states after which the heap is tidied, which takes some ten milliseconds."""
_REST: Final = 16
"""So many tokens of an end may be lost when a sequence takes it along; a pass computes them beside others."""
_REPLY: Final = 128
"""Positions kept free for what is written; longer replies grow."""


class _Node:
    """A run of tokens, their states, and what may follow them."""

    def __init__(self, parent: _Node | None, tokens: tuple[int, ...], states: torch.Tensor | None) -> None:
        self.parent = parent
        self.tokens = tokens
        self.states = states  # [layers, 2, heads, len(tokens), head_size]; None at the root
        self.children: dict[int, _Node] = {}  # by their first token
        self.used = 0

    @property
    def size(self) -> int:
        return 0 if self.states is None else self.states.nbytes


class PrefixTree:
    """The states kept by one engine; not for several threads at once.

    Args:
        budget: Most bytes; the least recently used ends of the tree make room.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._root = _Node(None, (), None)
        self._clock = itertools.count(1)
        self._bytes = 0
        self._untidy = 0

    @property
    def bytes(self) -> int:
        """Memory that the states take."""
        return self._bytes

    def match(self, tokens: Sequence[int]) -> int:
        """How many tokens, from the start, have states here."""
        return sum(shared for _, shared in self._path(tokens))

    def lend(self, states: States, tokens: Sequence[int], stays: int) -> None:
        """Give an empty sequence the states of the longest known prefix of `tokens`.

        Args:
            states: The sequence's; `insert` brings back what was added, and what left the tree.
            tokens: Its tokens.
            stays: Of so many tokens the states stay here; of later ones those leave that nothing else goes on from.
        """
        now = next(self._clock)
        path = list(self._path(tokens))
        states.reserve(len(tokens) + _REPLY)  # at once: growing means copying
        for node, shared in path:
            node.used = now
            assert node.states is not None
            states.append(node.states[:, :, :, :shared])
        depth = states.length
        for node, shared in reversed(path):
            depth -= shared
            if node.children or depth < stays or len(node.tokens) - shared > _REST:
                break
            self._remove(node)

    def insert(self, tokens: Sequence[int], states: States) -> None:
        """Keep the states of a sequence.

        Args:
            tokens: Its tokens; those beyond `states.length` are left out.
            states: Its states; copied where they are new.
        """
        tokens = tuple(tokens[: states.length])
        now = next(self._clock)
        node, depth = self._root, 0
        for child, shared in list(self._path(tokens)):
            node = child if shared == len(child.tokens) else self._split(child, shared)
            node.used = now
            depth += shared
        while depth < len(tokens):
            end = min(depth + _RUN, len(tokens))
            leaf = _Node(node, tokens[depth:end], states.segment(depth, end))
            leaf.used = now
            node.children[leaf.tokens[0]] = leaf
            self._bytes += leaf.size
            self._untidy += leaf.size
            self._make_room()
            if node.children.get(leaf.tokens[0]) is not leaf:
                return  # there is no room for more of this sequence
            node, depth = leaf, end
        if self._untidy > _TIDY:
            self._untidy = 0
            tidy_heap()

    def clear(self) -> None:
        """Forget everything."""
        self._root = _Node(None, (), None)
        self._bytes = 0

    def _path(self, tokens: Sequence[int]) -> Iterator[tuple[_Node, int]]:
        """The nodes along `tokens`, each with how many of its tokens are shared (all, but for the last)."""
        tokens = tuple(tokens)
        node, depth = self._root, 0
        while depth < len(tokens):
            child = node.children.get(tokens[depth])
            if child is None:
                return
            shared = shared_length(child.tokens, tokens[depth : depth + len(child.tokens)])
            yield child, shared
            if shared < len(child.tokens):
                return
            node, depth = child, depth + shared

    def _split(self, node: _Node, length: int) -> _Node:
        """Cut a node in two after `length` tokens; gives the first part."""
        assert node.states is not None
        assert node.parent is not None
        # Copies: a view would keep the memory of the other part alive after that is dropped.
        first = _Node(node.parent, node.tokens[:length], node.states[:, :, :, :length].clone())
        first.used = node.used
        node.parent.children[first.tokens[0]] = first
        node.parent, node.tokens, node.states = (
            first,
            node.tokens[length:],
            node.states[:, :, :, length:].clone(),
        )
        first.children[node.tokens[0]] = node
        return first

    def _make_room(self) -> None:
        while self._bytes > self._budget:
            self._remove(min(self.leaves(), key=lambda node: node.used))

    def _remove(self, leaf: _Node) -> None:
        assert leaf.parent is not None
        del leaf.parent.children[leaf.tokens[0]]
        self._bytes -= leaf.size

    def leaves(self) -> Iterator[_Node]:
        """The ends of all sequences."""
        pending = list(self._root.children.values())
        while pending:
            each = pending.pop()
            if each.children:
                pending += each.children.values()
            else:
                yield each


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences of one type share from the start."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    low, high = 0, most  # the first difference lies in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
