"""Byte-pair encoding from tables that are ready when they are read: no tokenizer is built at the start of a process.

The two steps of a byte-level tokenizer, in plain Python. `PieceSplitter` cuts text into words, numbers and
punctuation as the tokenizer's own regular expression does. Which characters are letters, numbers or white space is
not asked of Python but stored per character, as the `tokenizers` library sees it (`models/tokenizer_table.py`), so
that both cut alike whatever their editions of Unicode are. `BytePairs` then joins the bytes of a piece, pair by pair
in the order of the merges.

Source of the method: Sennrich, Haddow and Birch 2016, https://arxiv.org/abs/1508.07909, on bytes as in GPT-2.
"""

from __future__ import annotations

import heapq
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

LETTER: Final = "\x80"
NUMBER: Final = "\x81"
SPACE: Final = "\x82"
OTHER: Final = "\x83"
DIGIT: Final = "\x84"
LONG_S: Final = "\x85"
"""Stand-ins of all characters beyond ASCII, one for each kind: what the patterns below see in their place. A DIGIT is
cut off by itself, a NUMBER goes with its neighbours; LONG_S is a letter that counts as an `s` after an apostrophe."""

_LETTERS: Final = f"A-Za-z{LETTER}{LONG_S}"
_SPACES: Final = rf"\t\n\x0b\x0c\r {SPACE}"

PATTERNS: Final[Mapping[str, str]] = {
    # (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    "qwen2": (
        rf"'(?:[sS{LONG_S}tTmMdD]|[rRvV][eE]|[lL][lL])|[^\r\n{_LETTERS}0-9{NUMBER}]?[{_LETTERS}]+|[0-9{NUMBER}]"
        rf"| ?[^{_SPACES}{_LETTERS}0-9{NUMBER}]+[\r\n]*|[{_SPACES}]*[\r\n]+|[{_SPACES}]+(?![^{_SPACES}])"
        rf"|[{_SPACES}]+"
    ),
    # Every digit by itself, then in what is between them:
    # 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
    "digits, gpt2": (
        rf"[0-9{DIGIT}]|'(?:[stmd]|[rv]e|ll)| ?[{_LETTERS}]+| ?{NUMBER}+"
        rf"| ?[^{_SPACES}{_LETTERS}0-9{DIGIT}{NUMBER}]+|[{_SPACES}]+(?![^{_SPACES}0-9{DIGIT}])|[{_SPACES}]+"
    ),
}
"""How text is cut, by name; above each the regular expression of the `tokenizer.json`."""

_REMEMBERED: Final = 16_384  # pieces
_LONGEST_REMEMBERED: Final = 64  # bytes


class PieceSplitter:
    """Cuts text into pieces that are encoded one by one.

    Args:
        pattern: A name in `PATTERNS`.
        kinds: The stand-in of every character, by code point; ASCII characters stand for themselves.
    """

    def __init__(self, pattern: str, kinds: bytes) -> None:
        self._pattern = re.compile(PATTERNS[pattern])
        self._kinds = kinds

    def pieces(self, text: str) -> Iterator[str]:
        """The pieces; joined they are `text`."""
        seen = text if text.isascii() else text.translate(self._kinds)
        for found in self._pattern.finditer(seen):
            yield text[found.start() : found.end()]


class BytePairs:
    """Joins the bytes of a piece.

    Args:
        whole: Ids of the pieces that merging makes one token of.
        byte_ids: The id of every byte; None where the vocabulary lacks it. Such a byte is dropped.
        merges: left id, right id and what they make, first merge first: int32 [merges, 3].
        size: All ids are below this.
    """

    def __init__(
        self,
        *,
        whole: Mapping[bytes, int],
        byte_ids: list[int | None],
        merges: NDArray[numpy.int32],
        size: int,
    ) -> None:
        self._whole = whole
        self._byte_ids = byte_ids
        self._size = size
        # Sorted arrays: with a dictionary encoding is no quicker, and 150,000 pairs take 18 MB more.
        left, right, made = merges.T
        pairs = left.astype(numpy.int64) * size + right
        order = numpy.argsort(pairs)
        self._pairs = array("q", pairs[order].tobytes())
        self._places = array("i", order.astype(numpy.int32).tobytes())  # in the order of merges
        self._made = array("i", numpy.ascontiguousarray(made).tobytes())
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._merged)

    def ids(self, piece: bytes) -> tuple[int, ...]:
        """The tokens of a piece."""
        token = self._whole.get(piece)
        if token is not None:
            return (token,)
        return self._remembered(piece) if len(piece) <= _LONGEST_REMEMBERED else self._merged(piece)

    def _merged(self, piece: bytes) -> tuple[int, ...]:
        """Merge the pair that comes first in the order of merges, of equal ones the leftmost, until there is
        none."""
        ids = [token for byte in piece if (token := self._byte_ids[byte]) is not None]
        end = len(ids)
        # A chain of neighbours: what is merged into its left neighbour leaves the chain.
        after, before = list(range(1, end + 1)), list(range(-1, end - 1))
        waiting: list[tuple[int, int, int]] = []  # (merge, position, pair): first in order first

        def consider(left: int) -> None:
            right = after[left]
            if right < end:
                pair = ids[left] * self._size + ids[right]
                at = bisect_left(self._pairs, pair)
                if at < len(self._pairs) and self._pairs[at] == pair:
                    heapq.heappush(waiting, (self._places[at], left, pair))

        for position in range(end - 1):
            consider(position)
        while waiting:
            merge, left, pair = heapq.heappop(waiting)
            right = after[left]
            if ids[left] < 0 or right >= end or ids[left] * self._size + ids[right] != pair:
                continue  # one of the two has been merged in the meantime
            ids[left], ids[right] = self._made[merge], -1
            after[left] = after[right]
            if after[left] < end:
                before[after[left]] = left
            if before[left] >= 0:
                consider(before[left])
            consider(left)
        return tuple(token for token in ids if token >= 0)
