"""Measuring retrieval on a collection in the form of BEIR (Thakur et al. 2021): by words, by meaning, by both.

    corpus.jsonl   {"_id", "title", "text"} a line
    queries.jsonl  {"_id", "text"} a line
    qrels.tsv      query-id, corpus-id, score; the first line may name the columns

Each document is one passage, its title the heading, stored and searched as a bot's own documents are. The encoder reads
the beginning of a long text only, as in all published figures of this kind; the rest is found by its words.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agentkit.errors import BotFileError, ConfigurationError
from agentkit.knowledge.decoding import decode, read_bytes
from agentkit.knowledge.search import PassageSearch
from agentkit.knowledge.vectors import ExactVectors
from agentkit.models.bulk import quick_products
from agentkit.models.progress import Progress, Silent, task
from agentkit.ranking import ndcg, recall, reciprocal_rank
from agentkit.store.full_text import search_terms
from agentkit.store.protocol import KnowledgeTable, NewChunk, NewDocument

if TYPE_CHECKING:
    from agentkit.models.protocols import Encoder, Vectors

Way: TypeAlias = Literal["words", "meaning", "both"]
WAYS: Final[tuple[Way, ...]] = ("words", "meaning", "both")

READ: Final = 45
"""Words of a text that the encoder reads: what it costs grows with them, what hybrid search finds hardly does (SciFact,
dev half: title alone .724, 128 tokens .733; dev/log.md)."""

_DEPTH: Final = 100  # documents of a ranking
_BATCH: Final = 256
_LARGEST: Final = 4 * 1024**3  # bytes of a file
_FORM: Final = (
    'Lines of the corpus are {"_id", "title", "text"}, of the queries {"_id", "text"}, and the judgements have three '
    "columns separated by tabs: query, document, score."
)


@dataclass(frozen=True)
class CorpusRow:
    """One document of a collection."""

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class RetrievalRows:
    """A collection.

    Args:
        corpus: Its documents.
        queries: Text of each judged query.
        relevant: The gain of each relevant document, by query.
    """

    corpus: tuple[CorpusRow, ...]
    queries: dict[str, str]
    relevant: dict[str, dict[str, float]]


@dataclass
class WayScores:
    """The figures of one way of searching: means over the queries, milliseconds of a query.

    Args:
        rankings: For each query the documents found, best first, with their scores.
    """

    ndcg_10: float = 0.0
    recall_10: float = 0.0
    recall_100: float = 0.0
    mrr_10: float = 0.0
    milliseconds_p50: float = 0.0
    milliseconds_p95: float = 0.0
    rankings: dict[str, list[tuple[str, float]]] = field(default_factory=dict)


@dataclass
class RetrievalScores:
    """All figures.

    Args:
        documents: How many were searched.
        queries: How many were judged.
        indexing_seconds: For embedding and storing all documents.
        indexing_processor_seconds: The same in time of the processor, over all its cores.
        ways: The figures of each way.
    """

    documents: int
    queries: int
    indexing_seconds: float
    indexing_processor_seconds: float
    ways: dict[Way, WayScores]

    def to_json(self) -> str:
        """All figures without the rankings."""
        ways = {
            name: {key: round(value, 4) for key, value in vars(scores).items() if key != "rankings"}
            for name, scores in self.ways.items()
        }
        return json.dumps(
            {
                "documents": self.documents,
                "queries": self.queries,
                "indexing_seconds": round(self.indexing_seconds, 2),
                "indexing_processor_seconds": round(self.indexing_processor_seconds, 2),
                "ways": ways,
            }
        )


def read_retrieval_rows(corpus: Path, queries: Path, qrels: Path) -> RetrievalRows:
    """A collection from its three files; queries without a relevant document are left out, as trec_eval does.

    Raises:
        BotFileError: A file cannot be read or a line has another form; names file and line.
    """
    documents: dict[str, CorpusRow] = {}
    for number, row in _json_lines(corpus):
        each = CorpusRow(
            _text(row, "_id", corpus, number), str(row.get("title") or ""), str(row.get("text") or "")
        )
        if each.id in documents:
            raise BotFileError(
                f"{each.id!r} is there twice", path=corpus, line=number, field="_id", hint=_FORM
            )
        documents[each.id] = each
    texts = {
        _text(row, "_id", queries, number): _text(row, "text", queries, number)
        for number, row in _json_lines(queries)
    }
    relevant: dict[str, dict[str, float]] = {}
    for number, (query, document, gain) in _judgements(qrels):
        if query not in texts or document not in documents:
            missing = f"query {query!r}" if query not in texts else f"document {document!r}"
            raise BotFileError(f"there is no {missing}", path=qrels, line=number, hint=_FORM)
        if gain > 0:
            relevant.setdefault(query, {})[document] = gain
    if not relevant:
        raise BotFileError("holds no relevant document", path=qrels, hint=_FORM)
    return RetrievalRows(tuple(documents.values()), {each: texts[each] for each in relevant}, relevant)


def evaluate_retrieval(
    rows: RetrievalRows,
    table: KnowledgeTable,
    encoder: Encoder,
    progress: Progress | None = None,
    *,
    words: int = READ,
) -> RetrievalScores:
    """Store a collection and search for every query in each way.

    Args:
        rows: The collection.
        table: An empty one.
        encoder: Embeds documents and queries.
        progress: Told how many documents are stored and how many queries are answered.
        words: How many words of each text the encoder reads, besides the title.
    """
    progress = progress or Silent()
    started, worked = time.perf_counter(), time.process_time()
    _index(rows.corpus, table, encoder, progress, words)
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    documents = {each.id: each.document for each in table.chunks(table.chunk_ids(encoder.id))}
    vectors = ExactVectors(table, encoder.id)
    search = PassageSearch(table, vectors)
    ways = {way: WayScores() for way in WAYS}
    times: dict[Way, list[float]] = {way: [] for way in WAYS}
    embedded = dict(zip(rows.queries, encoder.encode(list(rows.queries.values())), strict=True))
    first = next(iter(rows.queries))
    search.rank(embedded[first], rows.queries[first], _DEPTH)  # reads the vectors
    with task(progress, "Searching", len(rows.queries), "queries"):
        for query, text in rows.queries.items():
            for way in WAYS:
                started = time.perf_counter()
                found = _found(way, table, vectors, search, embedded[query], text)
                times[way].append((time.perf_counter() - started) * 1000)
                ways[way].rankings[query] = [(documents[each], score) for each, score in found]
            progress.advance(1)
    for way, scores in ways.items():
        _measure(scores, rows.relevant, times[way])
    return RetrievalScores(len(rows.corpus), len(rows.queries), seconds, processor, ways)


def write_run(path: Path, scores: RetrievalScores, way: Way = "both") -> None:
    """Write rankings as a TREC run file: query, `Q0`, document, rank, score, name.

    Args:
        path: The file.
        scores: What was measured.
        way: Whose rankings.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8") as stream:
            for query, ranking in scores.ways[way].rankings.items():
                for rank, (document, score) in enumerate(ranking, start=1):
                    stream.write(f"{query} Q0 {document} {rank} {score:.6f} agentkit-{way}\n")
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be written: {problem.strerror}.", hint="Name another file with --run."
        ) from problem


def _index(
    corpus: Sequence[CorpusRow], table: KnowledgeTable, encoder: Encoder, progress: Progress, words: int
) -> None:
    # Texts of one length together, so that little is computed on padding.
    texts = {each.id: f"{each.title}\n{' '.join(each.text.split()[:words])}".strip() for each in corpus}
    ordered = sorted(corpus, key=lambda each: len(texts[each.id]))
    with task(progress, "Reading the corpus", len(corpus), "documents"):
        for first in range(0, len(ordered), _BATCH):
            batch = ordered[first : first + _BATCH]
            with quick_products():
                vectors = encoder.encode([texts[each.id] for each in batch])
            table.replace_documents(
                [
                    NewDocument(
                        each.id, "", encoder.id, [NewChunk(each.title, each.text, 0, len(each.text), vector)]
                    )
                    for each, vector in zip(batch, vectors, strict=True)
                ]
            )
            progress.advance(len(batch))


def _found(
    way: Way, table: KnowledgeTable, vectors: ExactVectors, search: PassageSearch, vector: Vectors, text: str
) -> list[tuple[int, float]]:
    if way == "words":
        return table.chunks_with_words(search_terms(text), _DEPTH)
    if way == "meaning":
        return list(vectors.nearest(vector, _DEPTH).items())
    return [(each, scores[0]) for each, scores in search.rank(vector, text, _DEPTH)]


def _measure(
    scores: WayScores, relevant: Mapping[str, Mapping[str, float]], milliseconds: Sequence[float]
) -> None:
    rankings = {query: [each for each, _ in ranking] for query, ranking in scores.rankings.items()}
    scores.ndcg_10 = statistics.fmean(ndcg(rankings[query], gains, 10) for query, gains in relevant.items())
    scores.recall_10 = statistics.fmean(
        recall(rankings[query], gains, 10) for query, gains in relevant.items()
    )
    scores.recall_100 = statistics.fmean(
        recall(rankings[query], gains, 100) for query, gains in relevant.items()
    )
    scores.mrr_10 = statistics.fmean(
        reciprocal_rank(rankings[query], gains, 10) for query, gains in relevant.items()
    )
    ordered = sorted(milliseconds)
    scores.milliseconds_p50 = statistics.median(ordered)
    scores.milliseconds_p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(decode(read_bytes(path, _LARGEST), path).split("\n"), start=1):
        if line.strip():
            yield number, line


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except ValueError as problem:
            raise BotFileError(f"is no JSON: {problem}", path=path, line=number, hint=_FORM) from problem
        if not isinstance(row, dict):
            raise BotFileError("is no JSON object", path=path, line=number, hint=_FORM)
        yield number, row


def _text(row: Mapping[str, object], name: str, path: Path, number: int) -> str:
    value = row.get(name)
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise BotFileError("is missing or no text", path=path, line=number, field=name, hint=_FORM)
    return str(value)


def _judgements(path: Path) -> Iterator[tuple[int, tuple[str, str, float]]]:
    for number, line in _lines(path):
        cells = line.rstrip("\n").split("\t")
        # Four columns are the form of TREC: query, iteration, document, score.
        cells = [cells[0], *cells[2:]] if len(cells) == 4 else cells
        try:
            query, document, gain = cells
            yield number, (query, document, float(gain))
        except ValueError as problem:
            if number > 1:
                raise BotFileError(
                    "is no judgement of three columns", path=path, line=number, hint=_FORM
                ) from problem
