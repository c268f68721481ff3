"""Everything about one user's memories that a search looks at, in arrays: meanings, words, neighbours, age, weight."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.memory.words import WordIndex
from agentkit.store.records import MemoryChanges, MemoryHead, MemoryKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentkit.store.records import Vectors

_WORDS: Final = 2.0
"""What a memory that says every word of the query gains, in units of cosine similarity."""
_BESIDE: Final = (0.5, 0.25)
"""Share of its words that a message lends to the next one and the one after, and to those before: an answer seldom
repeats the words of its question."""
_RECENT: Final = 0.03
_IMPORTANT: Final = 0.03
"""Age and importance decide between memories that fit about equally well."""
_FADES: Final = 30 * 86_400.0  # seconds in which a memory loses 63 % of what it gained by being new
_NONE: Final = -1


class MemoryIndex:
    """The memories of one user that one encoder embedded; it only grows. One thread at a time adds.

    Args:
        dimension: Of the encoder's vectors.
    """

    def __init__(self, dimension: int) -> None:
        self.ids: list[str] = []
        self._matrix: Vectors = numpy.zeros((0, dimension), dtype=numpy.float32)
        self._words = WordIndex()
        self.texts: array[int] = array("q")  # the same number for memories of one kind with the same text
        self._facts: array[int] = array("b")
        self._places: array[int] = array("q")  # number of the conversation, see `_conversations`
        self._turns: array[int] = array("q")
        self._importance: array[float] = array("f")
        self._created: array[float] = array("d")
        self._before: array[int] = array("q")  # row of the message before this one in its conversation
        self._conversations: dict[str, int] = {}
        self._last: dict[int, int] = {}  # conversation -> row of its last message

    def __len__(self) -> int:
        """How many memories there are."""
        return len(self.ids)

    def add(self, changes: MemoryChanges) -> None:
        """Take memories in, behind those that are here."""
        used, needed = len(self.ids), len(self.ids) + len(changes.ids)
        if needed > len(self._matrix):
            # A new array, never a resized one: a search in another thread may still read the old one. Room
            # for half as many again keeps appending cheap.
            grown = numpy.zeros((needed + needed // 2, self._matrix.shape[1]), dtype=numpy.float32)
            grown[:used] = self._matrix[:used]
            self._matrix = grown
        if changes.ids:
            self._matrix[used:needed] = changes.vectors
        self._words.add(head.text for head in changes.heads)
        for row, head in enumerate(changes.heads, start=used):
            self._add_head(row, head)
        self.ids.extend(changes.ids)  # in place: who reads meanwhile looks at rows that were there before

    def view(self) -> Vectors:
        """The vectors, float32 [memories, dimension]."""
        return self._matrix[: len(self.ids)]

    def scores(self, vector: Vectors, words: str) -> tuple[Vectors, Vectors, Vectors]:
        """How well each memory fits.

        Args:
            vector: Of the query, float32 [dimension], length 1.
            words: The query as text; empty when only its meaning counts.

        Returns:
            Cosine; cosine and words together, by which it is decided whether a memory is recalled at all; and the
            same with age and importance, by which they are ordered. Each float32 [memories].
        """
        # One thread: for so little work, waiting for a second one costs more than it helps.
        cosine = numpy.vecdot(self.view(), numpy.asarray(vector, dtype=numpy.float32))
        fits = cosine
        if words:
            fits = cosine + _WORDS * self._lent(self._words.coverage(words))
        return cosine, fits, fits + self._weight()

    def eligible(
        self, kind: MemoryKind | None, conversation: str | None, first_turn: int
    ) -> NDArray[numpy.bool_]:
        """Which memories may be recalled, bool [memories].

        Args:
            kind: Only these.
            conversation: Not those of this conversation,
            first_turn: from this turn of it on.
        """
        allowed = numpy.ones(len(self.ids), dtype=numpy.bool_)
        if kind is not None:
            allowed &= numpy.array(self._facts, dtype=numpy.bool_) == (kind == "fact")
        if conversation in self._conversations:
            same = numpy.array(self._places) == self._conversations[conversation]
            allowed &= ~(same & (numpy.array(self._turns) >= first_turn))
        return allowed

    def _add_head(self, row: int, head: MemoryHead) -> None:
        place, before = _NONE, _NONE
        if head.conversation_id is not None:
            place = self._conversations.setdefault(head.conversation_id, len(self._conversations))
        if head.kind == "message" and place != _NONE:
            before = self._last.get(place, _NONE)
            self._last[place] = row
        self.texts.append(hash((head.kind, head.text)))
        self._facts.append(head.kind == "fact")
        self._places.append(place)
        self._turns.append(head.turn_seq)
        self._importance.append(head.importance)
        self._created.append(head.created_at.timestamp())
        self._before.append(before)

    def _lent(self, words: Vectors) -> Vectors:
        """The words of each memory and a share of those of the messages beside it in its conversation."""
        total = words.copy()
        before = numpy.array(self._before)
        later = numpy.arange(len(before))
        earlier = before
        for share in _BESIDE:
            linked = earlier >= 0
            later, earlier = later[linked], earlier[linked]
            # Each message is before one other at most, so no place occurs twice.
            total[later] += share * words[earlier]
            total[earlier] += share * words[later]
            earlier = before[earlier]
        return total

    def _weight(self) -> Vectors:
        created = numpy.array(self._created)
        # Relative to the newest memory, so that nothing depends on what time it is.
        recent = numpy.exp((created - created.max(initial=0.0)) / _FADES)
        important = numpy.array(self._importance, dtype=numpy.float32)
        weight: Vectors = _RECENT * recent.astype(numpy.float32) + _IMPORTANT * important
        return weight
