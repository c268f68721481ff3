"""The documents of a bot, found by meaning: files in, passages out, vectors in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import BotFileError, RecordNotFound
from agentkit.events import PassageFound
from agentkit.knowledge.chunking import VERSION, Chunk, chunk_markdown
from agentkit.models.progress import Progress, Silent
from agentkit.models.protocols import Encoder
from agentkit.store.protocol import KnowledgeTable, NewChunk

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

_SUFFIXES: Final = (".md", ".markdown", ".txt")
_LONGEST_FILE: Final = 16 * 1024 * 1024  # bytes


class KnowledgeIndex:
    """Search over documents.

    Args:
        table: Where documents, chunks and vectors are kept.
        encoder: Embeds chunks.
        progress: Told how many documents are embedded.
    """

    def __init__(self, table: KnowledgeTable, encoder: Encoder, progress: Progress | None = None) -> None:
        self._table = table
        self._encoder = encoder
        self._progress = progress or Silent()
        # Version of the table, ids of the chunks, their vectors: one value, so that threads see them together.
        self._cached: tuple[int, tuple[int, ...], Vectors] | None = None

    def sync(self, sources: Sequence[Path]) -> int:
        """Make the index hold exactly the documents under `sources`; only changed ones are embedded.

        Each document is replaced in one transaction, so an interruption loses nothing.

        Args:
            sources: Folders (all Markdown and text files below them) and files.

        Returns:
            How many documents were embedded.

        Raises:
            BotFileError: A file is missing, cannot be read or is no UTF-8 text, or two have the same name; nothing was
                changed then.
        """
        known = {each.path: each for each in self._table.documents()}
        changed = {}
        files = _files(sources)
        for name, path in files.items():  # every file is read before anything is changed
            text = _read(path)
            digest = hashlib.sha256(f"{VERSION}\n{text}".encode()).hexdigest()
            old = known.get(name)
            if old is None or old.content_hash != digest or old.encoder_id != self._encoder.id:
                changed[name] = (text, digest)
        for name in sorted(known.keys() - files.keys()):
            self._table.remove_document(name)
        if not changed:
            return 0
        self._progress.start("Reading the knowledge", len(changed), "documents")
        try:
            for name, (text, digest) in changed.items():
                chunks = self._embedded(chunk_markdown(text))
                self._table.replace_document(name, digest, chunks, encoder_id=self._encoder.id)
                self._progress.advance(1)
        finally:
            self._progress.finish()
        return len(changed)

    def search(self, vector: Vectors, text: str, limit: int) -> list[PassageFound]:
        """The passages nearest in meaning to a question, best first.

        Args:
            vector: float32 [dimension], the question.
            text: The question; for searching by words, which comes with hybrid search.
            limit: At most so many.
        """
        try:
            return self._nearest(vector, limit)
        except RecordNotFound:  # another process replaced a document in this moment
            return self._nearest(vector, limit)

    def _nearest(self, vector: Vectors, limit: int) -> list[PassageFound]:
        ids, matrix = self._vectors()
        if not ids:
            return []
        # Not `@`: its threads stall for milliseconds where cores are busy.
        similarities = numpy.vecdot(matrix, vector)  # [chunks]
        best = (-similarities).argsort(kind="stable")[: max(0, limit)]
        records = self._table.chunks([ids[row] for row in best])
        return [
            PassageFound(
                document=record.document,
                heading=record.heading,
                text=record.text,
                similarity=float(similarities[row]),
            )
            for row, record in zip(best, records, strict=True)
        ]

    def _embedded(self, chunks: Sequence[Chunk]) -> list[NewChunk]:
        # The heading is part of what is embedded: "It takes 30 days" means nothing without it.
        if not chunks:
            return []
        vectors = self._encoder.encode([f"{chunk.heading}\n{chunk.text}".strip() for chunk in chunks])
        return [
            NewChunk(chunk.heading, chunk.text, chunk.start, chunk.end, vector)
            for chunk, vector in zip(chunks, vectors, strict=True)
        ]

    def _vectors(self) -> tuple[tuple[int, ...], Vectors]:
        version = self._table.version()
        cached = self._cached
        if cached is None or cached[0] != version:
            cached = (version, *self._table.chunk_vectors(self._encoder.id))
            self._cached = cached
        return cached[1], cached[2]


def _files(sources: Sequence[Path]) -> dict[str, Path]:
    """Every document by its name, relative to its source folder, in a stable order."""
    files: dict[str, Path] = {}
    for source in sources:
        for name, path in _below(source):
            if name in files:
                raise BotFileError(
                    f"the knowledge has another document named `{name}`: {files[name]}",
                    path=path,
                    hint="Rename one of them.",
                )
            files[name] = path
    return files


def _below(source: Path) -> Iterator[tuple[str, Path]]:
    if source.is_file():
        yield source.name, source
        return
    if not source.is_dir():
        raise BotFileError("there is no such file or folder", path=source, hint="Check the name.")
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix.lower() in _SUFFIXES and path.is_file() and not hidden:
            yield name.as_posix(), path


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LONGEST_FILE:
            raise BotFileError("the file is larger than 16 MB", path=path, hint="Cut it into several files.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise BotFileError(
            f"cannot be read: {problem.strerror}", path=path, hint="Check the file and its permissions."
        ) from problem
    except UnicodeDecodeError as problem:
        raise BotFileError(
            f"is no UTF-8 text (byte {problem.start})", path=path, hint="Save the file as UTF-8."
        ) from problem
    if "\0" in text:
        raise BotFileError("is no text: it holds NUL characters", path=path, hint="Save it as text, UTF-8.")
    return text
