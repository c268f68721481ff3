"""The documents that a bot answers from, as values that a store takes and gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentkit.messages import Value

if TYPE_CHECKING:
    from agentkit.store.records import Vectors

DocumentKind: TypeAlias = Literal["text", "pairs"]
"""`pairs`: each chunk is an answer, and its heading is the question."""


@dataclass(frozen=True, eq=False)
class NewChunk:
    """A piece of a document that is to be stored.

    Args:
        heading: The headings above it, outermost first, as one line; of a pair the question.
        text: The piece.
        start: Offset of its first character in the document.
        end: Offset behind its last character.
        vector: float32 [dimension], length 1.
        asked: Other words in which people ask for it, as its author says.
    """

    heading: str
    text: str
    start: int
    end: int
    vector: Vectors
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NewDocument:
    """A document that is to be stored.

    Args:
        path: Its name, unique in its collection.
        content_hash: What it was made from: when it is the same, nothing has to be done.
        encoder_id: Which encoder made the vectors.
        chunks: Its pieces, in order.
        kind: What its chunks are.
        origin: The file that was added to the bot's own documents; empty for those.
        tags: What searches can be limited to.
    """

    path: str
    content_hash: str
    encoder_id: str
    chunks: Sequence[NewChunk]
    kind: DocumentKind = "text"
    origin: str = ""
    tags: Sequence[str] = ()


class DocumentRecord(Value):
    """A stored document without its chunks; the fields are those of `NewDocument`, and `chunks` is their number."""

    path: str
    content_hash: str
    encoder_id: str
    chunks: int
    updated_at: datetime
    kind: DocumentKind
    origin: str
    tags: tuple[str, ...]


class ChunkRecord(Value):
    """A stored piece of a document; `seq` counts the pieces of the document, `kind` is that of the document."""

    id: int
    document: str
    kind: DocumentKind
    seq: int
    heading: str
    text: str
    start: int
    end: int
    asked: tuple[str, ...] = ()
