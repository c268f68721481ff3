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
        self._said_last: array[int] = array("b")  # whether no later one of its kind has the same text
        self._rows_of: dict[int, int] = {}  # kind and text, hashed -> row of the last one
        self._facts: array[int] = array("b")
        self._places: array[int] = array("q")  # number of the conversation, see `_conversations`
        self._turns: array[int] = array("q")
        self._importance: array[float] = array("f")
        self._created: array[float] = array("d")
        self._newest = 0.0  # of `_created`
        self._messages: array[int] = array("q")  # rows of the messages of conversations
        # For each share of `_BESIDE`: which messages are so far before and behind in the conversation.
        self._beside: tuple[tuple[array[int], array[int]], ...] = tuple(
            (array("q"), array("q")) for _ in _BESIDE
        )
        self._conversations: dict[str, int] = {}
        self._last: dict[int, int] = {}  # conversation -> its last message
        self._compared: tuple[Vectors | None, Vectors] = (None, self._matrix[:, 0])

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
        self._compared = (None, self._matrix[:0, 0])

    def view(self) -> Vectors:
        """The vectors, float32 [memories, dimension]."""
        return self._matrix[: len(self.ids)]

    def cosine(self, vector: Vectors) -> Vectors:
        """How near in meaning each memory is to a vector of length 1, float32 [memories].

        A turn asks with the vector of its message, and compares what the message states: often the same vector.
        """
        if self._compared[0] is not vector:
            # One thread: for so little work, waiting for a second one costs more than it helps.
            compared = numpy.vecdot(self.view(), numpy.asarray(vector, dtype=numpy.float32))
            self._compared = (vector, compared)
        return self._compared[1]

    def fits(self, vector: Vectors, words: str) -> Vectors:
        """How well each memory fits, by which it is decided whether it is recalled at all.

        Args:
            vector: Of the query, float32 [dimension], length 1.
            words: The query as text; empty when only its meaning counts.

        Returns:
            Cosine and words together, float32 [memories].
        """
        cosine = self.cosine(vector)
        return cosine + _WORDS * self._lent(self._words.coverage(words)) if words else cosine

    def weight(self, rows: NDArray[numpy.intp]) -> Vectors:
        """What age and importance add for some memories, float32 [rows]: it orders those that fit about equally well.

        Args:
            rows: Numbers of memories.
        """
        # Relative to the newest memory, so that nothing depends on what time it is.
        recent = numpy.exp((numpy.array(self._created)[rows] - self._newest) / _FADES)
        important = numpy.array(self._importance, dtype=numpy.float32)[rows]
        weight: Vectors = _RECENT * recent.astype(numpy.float32) + _IMPORTANT * important
        return weight

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

    def said_last(self) -> NDArray[numpy.bool_]:
        """Which memories are the last of their kind with their text, bool [memories]."""
        return numpy.array(self._said_last, dtype=numpy.bool_)

    def _add_head(self, row: int, head: MemoryHead) -> None:
        place = _NONE
        if head.conversation_id is not None:
            place = self._conversations.setdefault(head.conversation_id, len(self._conversations))
        if head.kind == "message" and place != _NONE:
            self._link(row, place)
        text = hash((head.kind, head.text))
        if text in self._rows_of:
            self._said_last[self._rows_of[text]] = False
        self._rows_of[text] = row
        self._said_last.append(True)
        self._facts.append(head.kind == "fact")
        self._places.append(place)
        self._turns.append(head.turn_seq)
        self._importance.append(head.importance)
        self._created.append(head.created_at.timestamp())
        self._newest = max(self._newest, self._created[-1])

    def _link(self, row: int, place: int) -> None:
        number, neighbour = len(self._messages), self._last.get(place, _NONE)
        self._messages.append(row)
        self._last[place] = number
        for before, behind in self._beside:
            before.append(neighbour)
            behind.append(_NONE)
            if neighbour != _NONE:
                behind[neighbour] = number
                neighbour = self._beside[0][0][neighbour]

    def _lent(self, words: Vectors) -> Vectors:
        """The words of each memory and a share of those of the messages beside it in its conversation."""
        messages, total = numpy.array(self._messages), words.copy()
        padded = numpy.append(words[messages], numpy.float32(0))  # at -1: where there is no such message
        lent = numpy.zeros_like(padded[:-1])
        for share, (before, behind) in zip(_BESIDE, self._beside, strict=True):
            lent += share * (padded[numpy.array(before)] + padded[numpy.array(behind)])
        total[messages] += lent
        return total
