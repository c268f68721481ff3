"""The documents of a bot: files in, passages out, everything else in the store.

A bot's own documents are those below the sources of its `agent.yaml`; `sync` makes the index hold exactly them. Others
are added and removed one by one; they remember the file that they came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import BotFileError
from agentkit.events import PassageFound
from agentkit.knowledge.documents import SourceDocument, cut, digest_of, files_of, read_content
from agentkit.knowledge.search import PassageSearch
from agentkit.knowledge.vectors import ExactVectors, VectorSearch
from agentkit.models.progress import Progress, Silent, task
from agentkit.models.protocols import Encoder
from agentkit.store.knowledge_records import DocumentRecord
from agentkit.store.protocol import KnowledgeTable, NewChunk, NewDocument

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

_BATCH: Final = 64
"""Chunks that are embedded and stored together: an interruption loses the work of a second."""


@dataclass
class KnowledgeChanges:
    """What `add` and `reindex` did.

    Args:
        stored: Names of the documents that were new or changed.
        unchanged: How many others were looked at.
        missing: Names of added documents whose file is gone; they are kept.
    """

    stored: list[str] = field(default_factory=list)
    unchanged: int = 0
    missing: list[str] = field(default_factory=list)


class KnowledgeIndex:
    """Documents and the search over them.

    Args:
        table: Where documents, chunks, words and vectors are kept.
        encoder: Embeds chunks.
        progress: Told how many documents are embedded.
        vectors: Finds chunks by meaning; None: all vectors of the table are compared.
    """

    def __init__(
        self,
        table: KnowledgeTable,
        encoder: Encoder,
        progress: Progress | None = None,
        vectors: VectorSearch | None = None,
    ) -> None:
        self._table = table
        self._encoder = encoder
        self._progress = progress or Silent()
        self._vectors = vectors or ExactVectors(table, encoder.id)
        self._search = PassageSearch(table, self._vectors)

    def sync(self, sources: Sequence[Path]) -> int:
        """Make the bot's own documents exactly those under `sources`; only changed ones are embedded.

        Documents are replaced in small groups, each in one transaction, so an interruption loses nothing.

        Args:
            sources: Folders (all files below them whose ending is known) and files.

        Returns:
            How many documents were embedded.

        Raises:
            BotFileError: A file is missing or cannot be read, or two have the same name; nothing was changed then.
        """
        own = {each.path: each for each in self._table.documents() if not each.origin}
        files = files_of(sources)
        changed = list(self._changed(files, own, (), None))  # every file is read before anything is changed
        if gone := sorted(own.keys() - files.keys()):
            self._table.remove_documents(gone)
        self._store(changed, {}, {})
        return len(changed)

    def add(
        self, sources: Sequence[Path], *, tags: Sequence[str] = (), encoding: str | None = None
    ) -> KnowledgeChanges:
        """Add documents to the bot's own, or bring added ones up to date; only what changed is embedded.

        Args:
            sources: Folders and files, as for `sync`.
            tags: What searches can be limited to.
            encoding: Of text files without a byte order mark; None: UTF-8.

        Raises:
            BotFileError: As for `sync`, or the name belongs to another document.
        """
        files = files_of([source.resolve() for source in sources])
        known = {each.path: each for each in self._table.documents()}
        for name, path in files.items():
            if name in known and known[name].origin != str(path):
                raise BotFileError(
                    f"the knowledge has another document named `{name}`: "
                    f"{known[name].origin or 'one of the bot itself'}",
                    path=path,
                    hint="Rename one of them, or remove the other one (agentkit knowledge remove).",
                )
        changed = list(self._changed(files, known, tags, encoding))
        origins = {name: str(path) for name, path in files.items()}
        self._store(changed, origins, {name: tuple(tags) for name in files})
        return KnowledgeChanges([each.name for each in changed], len(files) - len(changed))

    def remove(self, names: Sequence[str]) -> None:
        """Remove added documents, all or none.

        Raises:
            RecordNotFound: There is no such document.
            BotFileError: It is one of the bot's own, and would be back at the next start.
        """
        known = {each.path: each for each in self._table.documents()}
        for name in names:
            if name in known and not known[name].origin:
                raise BotFileError(
                    "is one of the bot's own documents",
                    path=name,
                    hint="Delete the file from the folder that `knowledge` in agent.yaml names.",
                )
        self._table.remove_documents(names)

    def reindex(self, encoding: str | None = None) -> KnowledgeChanges:
        """Read the files of all added documents again; what changed, or what another encoder embedded, is embedded.

        Args:
            encoding: As for `add`.

        Raises:
            BotFileError: A file cannot be read; nothing was changed then.
        """
        added = {each.path: each for each in self._table.documents() if each.origin}
        files = {name: Path(each.origin) for name, each in added.items() if Path(each.origin).is_file()}
        changed = list(self._changed(files, added, None, encoding))
        origins = {name: each.origin for name, each in added.items()}
        self._store(changed, origins, {name: each.tags for name, each in added.items()})
        return KnowledgeChanges(
            [each.name for each in changed], len(files) - len(changed), sorted(added.keys() - files.keys())
        )

    def documents(self) -> list[DocumentRecord]:
        """All documents, by name."""
        return self._table.documents()

    def prepare(self) -> None:
        """Read the vectors, or bring their graph up to date, so that the first search does not have to."""
        self._vectors.prepare()

    def search(
        self, vector: Vectors, text: str, limit: int, *, tags: Sequence[str] = (), reach: int = 0
    ) -> list[PassageFound]:
        """The passages that fit a question best, by words and by meaning, best first.

        Args:
            vector: float32 [dimension], the question.
            text: The question.
            limit: At most so many.
            tags: Only from documents that have one of these, if there are any.
            reach: How many chunks before and behind a found one, under the same heading, belong to its passage.

        Raises:
            ModelError: The vector holds something else than finite numbers.
        """
        return self._search.search(vector, text, limit, tags=tags, reach=reach)

    def _changed(
        self,
        files: Mapping[str, Path],
        known: Mapping[str, DocumentRecord],
        tags: Sequence[str] | None,
        encoding: str | None,
    ) -> Iterator[SourceDocument]:
        """The files whose content, tags (unless None) or encoder are not those of their documents."""
        for name, path in files.items():
            content = read_content(path)
            old = known.get(name)
            if (
                old is None
                or old.content_hash != digest_of(content, encoding)
                or old.encoder_id != self._encoder.id
                or (tags is not None and old.tags != tuple(sorted(set(tags))))
            ):
                yield cut(name, path, content, encoding)

    def _store(
        self,
        documents: Sequence[SourceDocument],
        origins: Mapping[str, str],
        tags: Mapping[str, tuple[str, ...]],
    ) -> None:
        if not documents:
            return
        with task(self._progress, "Reading the knowledge", len(documents), "documents"):
            for group in _groups(documents):
                rows = iter(self._embedded(group))
                self._table.replace_documents(
                    [
                        NewDocument(
                            each.name,
                            each.content_hash,
                            self._encoder.id,
                            [
                                NewChunk(c.heading, c.text, c.start, c.end, next(rows), c.asked)
                                for c in each.chunks
                            ],
                            each.kind,
                            origins.get(each.name, ""),
                            tags.get(each.name, ()),
                        )
                        for each in group
                    ]
                )
                self._progress.advance(len(group))

    def _embedded(self, documents: Sequence[SourceDocument]) -> Iterator[Vectors]:
        """The vector of every chunk, float32 [dimension]: of what it says, and as much of how it is asked for."""
        chunks = [chunk for each in documents for chunk in each.chunks]
        own = [embedded_text(each, row) for each in documents for row in range(len(each.chunks))]
        vectors = self._encoder.encode([*own, *(other for chunk in chunks for other in chunk.asked)])
        place = len(own)
        for chunk, vector in zip(chunks, vectors, strict=False):
            asked = vectors[place : place + len(chunk.asked)]
            place += len(asked)
            if len(asked):
                vector = vector + asked.mean(axis=0)
                vector /= numpy.linalg.norm(vector)
            yield vector


def embedded_text(document: SourceDocument, row: int) -> str:
    """What the vector of a chunk is made from.

    The heading is part of it: "It takes 30 days" means nothing without. Of a pair it is the question alone: what is
    asked is compared with what was asked.
    """
    chunk = document.chunks[row]
    return chunk.heading if document.kind == "pairs" else f"{chunk.heading}\n{chunk.text}".strip()


def _groups(documents: Sequence[SourceDocument]) -> Iterator[list[SourceDocument]]:
    group: list[SourceDocument] = []
    for document in documents:
        if group and sum(len(each.chunks) for each in (*group, document)) > _BATCH:
            yield group
            group = []
        group.append(document)
    if group:
        yield group
