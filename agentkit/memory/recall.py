"""Finding memories again: by meaning, words, age and importance, over the memories of one user.

The similarity of two unit vectors is their dot product, so the meaning part of a search is one matrix-vector product
over all memories of the user; the words part is BM25 over the same memories (`words`). Exact search over 10,000
memories takes a few milliseconds; an index that approximates would pay off a hundred times further. Both stay in
memory between searches, and the store says cheaply whether anybody, in any process, added or changed something since.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy

from agentkit.events import Recollection
from agentkit.memory.contradiction import at_odds, subject_of
from agentkit.memory.index import MemoryIndex
from agentkit.memory.remembering import FACT_IMPORTANCE, MESSAGE_IMPORTANCE
from agentkit.messages import TrustLabel, as_trusted
from agentkit.models.protocols import Encoder
from agentkit.store.protocol import UserStore
from agentkit.store.records import MemoryKind, MemoryMark, MemoryRecord, NewMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentkit.models.protocols import Vectors

_SAME_MEANING: Final = 0.97  # cosine above which two texts with the same numbers say the same
_MOSTLY_THE_SAME: Final = 0.8  # cosine above which a message is little more than a fact that it holds
_FURTHER: Final = 2  # candidates looked at for each asked for: behind every message its fact may stand
_WORD: Final = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_SAME_FACT: Final = 0.93  # cosine above which a fact with the same numbers and denials is no new one
_COMPARED: Final = 24  # most facts that a new one is compared with
_BATCH: Final = 64  # texts embedded at once
_PER_USER: Final = 20  # memories that take as much room as a recall without any


class Recall:
    """The memories of one user. Threads may share it.

    Args:
        user_store: The user's part of a store; memories of anybody else cannot be reached through it.
        encoder: Embeds queries and new memories. Vectors of other encoders do not compare and are left out.
    """

    def __init__(self, user_store: UserStore, encoder: Encoder) -> None:
        self._store = user_store
        self._encoder = encoder
        self._lock = threading.Lock()
        self._mark: MemoryMark | None = None
        self._index = MemoryIndex(encoder.dimension)
        self._stale = 0

    def __len__(self) -> int:
        """How many memories it holds; those that were added since the last search are not counted."""
        return len(self._index)

    def search(
        self,
        query: str | Vectors,
        limit: int = 5,
        min_similarity: float = 0.3,
        *,
        words: str = "",
        kind: MemoryKind | None = None,
        exclude_conversation: str | None = None,
        first_turn: int = 0,
    ) -> list[Recollection]:
        """The memories that fit best, best first.

        Args:
            query: A text, or its vector, float32 [dimension] of length 1.
            limit: At most so many.
            min_similarity: Cosine, and what common words add to it, below which a memory has nothing to do with the
                query; 0.3 suits MiniLM.
            words: The text of the query where only its vector was given.
            kind: Only facts or only messages.
            exclude_conversation: Leave out what comes from this conversation, and what was said again there: it is
                in the prompt anyway.
            first_turn: Leave out only turns of it from this number on: earlier ones are not in the prompt any more.

        Returns:
            Texts that say the same appear once, as a fact rather than a message, and then the newest.
        """
        if isinstance(query, str):
            vector, words = self._encoder.encode([query])[0], query
        else:
            vector = query
        with self._lock:
            self._refresh()
            if not len(self):
                return []
            ids, matrix = self._index.ids, self._index.view()
            cosine, fits = self._index.cosine(vector), self._index.fits(vector, words)
            # What is said daily is not read for every day, and not at all where it was said just now.
            allowed = self._index.eligible(kind, exclude_conversation, first_turn) & self._index.said_last()
            rows = numpy.flatnonzero(allowed & (fits >= min_similarity))
            scores = fits[rows] + self._index.weight(rows)
        kept: list[_Found] = []
        count = limit * _FURTHER
        best = chain.from_iterable(_best_first(scores, rows, count))
        while len(kept) < limit and (place := {ids[row]: row for row in islice(best, count)}):
            count *= 2
            for record in self._store.memory(place, replaced=False):
                said = _words(record.text)
                _keep(kept, _Found(place[record.id], record, said, _numbers(said)), matrix, limit)
        return [
            _recollection(
                each.record, float(cosine[each.row]), float(scores[numpy.searchsorted(rows, each.row)])
            )
            for each in kept[:limit]
        ]

    def remember(
        self,
        text: str,
        *,
        kind: MemoryKind = "fact",
        trust: TrustLabel = "user",
        turn_id: str | None = None,
    ) -> str:
        """Store a text outside of a turn's commit: a tool that was asked to, or a person at the command line.

        Args:
            text: What to remember.
            kind: `fact` or `message`.
            trust: The worst label of what it was made from.
            turn_id: The turn that it comes from.

        Returns:
            The id of the memory.
        """
        importance = FACT_IMPORTANCE if kind == "fact" else MESSAGE_IMPORTANCE
        vector = self._encoder.encode([text])[0]
        memory = NewMemory(kind, text, trust, importance, self._encoder.id, vector, turn_id)
        settled = self._settled(memory)
        return settled if isinstance(settled, str) else self._store.add_memory(settled)

    def settle(self, memories: Iterable[NewMemory]) -> tuple[NewMemory, ...]:
        """Compare new facts with what is known.

        A fact that says the same as an old one, or that contradicts it, takes its place, and the old one stays as
        history. But never in place of one that is trusted further: then what says the same is left out, and a
        contradiction is kept beside it.

        Args:
            memories: What is to be remembered of a turn.

        Returns:
            What is to be stored.
        """
        settled = (self._settled(memory) for memory in memories)
        return tuple(memory for memory in settled if not isinstance(memory, str))

    def _settled(self, memory: NewMemory) -> NewMemory | str:
        """What is to be stored, or the id of what says it already."""
        if memory.kind != "fact" or memory.vector is None:
            return memory
        about = memory.about or subject_of(memory.text)
        replaced = []
        for similarity, known in self._known_facts(memory.vector):
            denied = at_odds(memory.text, known.text)
            same = similarity >= _SAME_FACT and not denied and _same_numbers(memory.text, known.text)
            if same and not as_trusted(memory.trust, known.trust):
                return known.id
            of_one = bool(about) and about == known.about
            if (same or of_one or denied) and as_trusted(memory.trust, known.trust):
                replaced.append(known.id)
        return dataclasses.replace(memory, about=about, replaces=(*memory.replaces, *replaced))

    def _known_facts(self, vector: Vectors) -> list[tuple[float, MemoryRecord]]:
        """The current facts that are near in meaning, nearest first."""
        with self._lock:
            self._refresh()
            if not len(self):
                return []
            ids = self._index.ids
            rows = numpy.flatnonzero(self._index.eligible("fact", None, 0))
            cosine = self._index.cosine(vector)
        best = next(_best_first(cosine[rows], rows, _COMPARED), [])
        near = {ids[row]: float(cosine[row]) for row in best}
        return [(near[record.id], record) for record in self._store.memory(near, replaced=False)]

    def stale(self) -> int:
        """How many memories have no vector of this encoder, so that no search finds them."""
        with self._lock:
            self._refresh()
            return self._stale

    def embed_again(self) -> int:
        """Give every memory that has none a vector of this encoder, replaced ones too, after a change of the encoder.

        Returns:
            How many were embedded.
        """
        known = self._store.memories(replaced=True)
        old = [record for record in known if record.encoder_id != self._encoder.id]
        for start in range(0, len(old), _BATCH):
            batch = old[start : start + _BATCH]
            vectors = self._encoder.encode([record.text for record in batch])
            self._store.set_memory_vectors(
                self._encoder.id, {record.id: vectors[row] for row, record in enumerate(batch)}
            )
        return len(old)

    def _refresh(self) -> None:
        """Take what was added since the last search; everything, when something was removed or replaced."""
        changes = self._store.memory_changes(self._encoder.id, self._mark)
        if changes.complete:
            self._index, self._stale = MemoryIndex(self._encoder.dimension), 0
        if changes.ids:
            self._index.add(changes)
        self._mark = changes.mark
        self._stale += changes.stale


class RecallPool:
    """Keeps the recalls of the users who were active last, so that their memories are read only once.

    Args:
        encoder: For all of them.
        fewest: How many users are kept however many memories they have; 10,000 of 384 dimensions take 15 MB.
        memories: More users are kept while they have no more than so many together.
    """

    def __init__(self, encoder: Encoder, fewest: int = 32, memories: int = 25_000) -> None:
        self._encoder = encoder
        self._fewest = fewest
        self._memories = memories
        self._lock = threading.Lock()
        self._recalls: OrderedDict[tuple[str, str], Recall] = OrderedDict()
        self._sizes: dict[tuple[str, str], int] = {}  # of each when it was last asked for
        self._kept = 0  # their sum: to ask all of them at every turn costs more than the turn

    def for_user(self, user_store: UserStore) -> Recall:
        """The recall of a user of the one store that this pool is used with."""
        key = (user_store.tenant, user_store.user)
        with self._lock:
            if key not in self._recalls:
                self._recalls[key] = Recall(user_store, self._encoder)
            self._recalls.move_to_end(key)
            recall = self._recalls[key]
            size = len(recall) + _PER_USER
            self._kept += size - self._sizes.get(key, 0)
            self._sizes[key] = size
            while self._kept > self._memories and len(self._recalls) > self._fewest:
                oldest, _ = self._recalls.popitem(last=False)
                self._kept -= self._sizes.pop(oldest)
            return recall


def _best_first(scores: Vectors, rows: NDArray[numpy.intp], count: int) -> Iterator[list[int]]:
    """Rows by falling score, newer ones first among equals; batch by batch, each longer than the last.

    Args:
        scores: float32 [rows].
        rows: Ascending.
        count: At least so many at first.
    """
    done = 0
    while done < len(rows):
        count = min(max(count, 1), len(rows))
        best = numpy.partition(scores, len(rows) - count)[len(rows) - count :]
        top = scores >= best[0]
        ordered = rows[top][numpy.lexsort((-rows[top], -scores[top]))]
        yield ordered[done:].tolist()
        done, count = len(ordered), len(ordered) * 4


class _Found(NamedTuple):
    """A memory that is to be shown, its row in the index, its words, and those that hold a number."""

    row: int
    record: MemoryRecord
    words: list[str]
    numbers: set[str]


def _keep(kept: list[_Found], found: _Found, matrix: Vectors, limit: int) -> None:
    """Add a memory while there is room, or let a fact, or the newer one, take the place of one that says the same."""
    for place, other in enumerate(kept):
        if _says_the_same(found, other, matrix):
            if (found.record.kind == "fact", found.record.seq) > (
                other.record.kind == "fact",
                other.record.seq,
            ):
                kept[place] = found
            return
    if len(kept) < limit:
        kept.append(found)


def _says_the_same(one: _Found, other: _Found, matrix: Vectors) -> bool:
    """Whether `one` adds nothing to `other`, which fits better."""
    if one.words == other.words:
        return True
    kinds = (one.record.kind, other.record.kind)
    if kinds == ("message", "fact") and one.record.turn_id == other.record.turn_id is not None:
        return True
    # "order 1042" and "order 1043" are near in meaning and not the same, nor is one a part of the other.
    same_kind, same_numbers = kinds[0] == kinds[1], one.numbers == other.numbers
    if not (same_numbers if same_kind else one.numbers <= other.numbers or other.numbers <= one.numbers):
        return False
    similarity = float(matrix[one.row] @ matrix[other.row])
    if similarity >= _MOSTLY_THE_SAME and not same_kind:
        # A message that says little beyond the fact that was taken from it.
        shorter, longer = sorted((" ".join(one.words), " ".join(other.words)), key=len)
        if f" {shorter} " in f" {longer} ":
            return True
    return same_numbers and similarity >= _SAME_MEANING


def _same_numbers(text: str, other: str) -> bool:
    return _numbers(_words(text)) == _numbers(_words(other))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _numbers(words: list[str]) -> set[str]:
    with_signs = (word for word in words if not word.isalpha())
    return {word for word in with_signs if any(character.isdigit() for character in word)}


def _recollection(record: MemoryRecord, similarity: float, score: float) -> Recollection:
    return Recollection(
        memory_id=record.id,
        text=record.text,
        similarity=similarity,
        score=score,
        kind=record.kind,
        trust=record.trust,
        conversation_id=record.conversation_id,
        turn_id=record.turn_id,
        created_at=record.created_at,
    )
