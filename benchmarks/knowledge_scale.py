"""What a search of the knowledge costs by the number of chunks: words, meaning, both; exactly and with the graph.

    python -m benchmarks.knowledge_scale --folder FOLDER [--sizes 10000,100000,1000000] --only make
    python -m benchmarks.knowledge_scale --folder FOLDER [--sizes 10000,100000,1000000] --only compare
    python -m benchmarks.knowledge_scale --folder FOLDER [--sizes 10000,100000,1000000] --only time --picture FILE.png

The first stores the chunks and makes the graph, which takes half an hour and longer for a million. `compare` says how
much of what exact search finds the graph finds. The last takes the times of the searches, which wants a quiet machine
for two minutes. Without `--only` one follows the other.

The collection is made up, from a fixed seed: chunks belong to 2,000 topics. A vector is that of its topic, plus a part
in 64 directions, plus noise; of a text of 40 words a third comes from the 60 words of its topic, the rest from 200,000
words as frequent as those of a language (Zipf). A question is the vector of a chunk with noise, five of its words and
three others; the 150 most frequent words, which are left out of real questions as stop words, are in none.
Every size has a database of its own, FOLDER/SIZE, and a further run goes on
with it. Results: FOLDER/costs.json, on the screen, and as a picture.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy
from numpy.typing import NDArray

from agentkit.knowledge.search import PassageSearch
from agentkit.knowledge.vector_index import IndexedVectors
from agentkit.knowledge.vectors import ExactVectors
from agentkit.store.full_text import search_terms
from agentkit.store.protocol import KnowledgeTable, NewChunk, NewDocument
from agentkit.store.sqlite_store import SqliteStore

Floats = NDArray[numpy.float32]

DIMENSION: Final = 384
DIRECTIONS: Final = 64
TOPICS: Final = 2_000
WORDS: Final = 200_000
STOPS: Final = 150
LENGTH: Final = 40
TOPIC_WORDS: Final = 60
ENCODER: Final = "made-up"
BLOCK: Final = 1_000  # chunks of a document
QUESTIONS: Final = 200
DEPTH: Final = 100


@dataclass(frozen=True)
class Question:
    """What is asked: unit vector and words."""

    vector: Floats
    text: str


class MadeUp:
    """The collection; the same number always gives the same block."""

    def __init__(self) -> None:
        random = numpy.random.default_rng(0)
        self._centres = _unit(random.standard_normal((TOPICS, DIMENSION), dtype=numpy.float32))
        self._basis = random.standard_normal((DIRECTIONS, DIMENSION), dtype=numpy.float32)
        shares = 1 / (numpy.arange(WORDS) + 2.7)
        self._sums = numpy.cumsum(shares / shares.sum())
        self._topic_words = STOPS + random.integers(0, WORDS - STOPS, (TOPICS, TOPIC_WORDS))
        self._names = [_name(number) for number in range(WORDS)]

    def block(self, number: int) -> tuple[list[list[int]], Floats]:
        """Words [BLOCK][LENGTH] and vectors [BLOCK, DIMENSION]."""
        random = numpy.random.default_rng([1, number])
        topics = random.integers(0, TOPICS, BLOCK)
        own = _unit(random.standard_normal((BLOCK, DIRECTIONS), dtype=numpy.float32) @ self._basis)
        noise = _unit(random.standard_normal((BLOCK, DIMENSION), dtype=numpy.float32))
        vectors = _unit(self._centres[topics] + 0.9 * own + 0.35 * noise)
        words = numpy.searchsorted(self._sums, random.random((BLOCK, LENGTH))).clip(0, WORDS - 1)
        of_topic = self._topic_words[topics[:, None], random.integers(0, TOPIC_WORDS, (BLOCK, LENGTH))]
        return numpy.where(random.random((BLOCK, LENGTH)) < 1 / 3, of_topic, words).tolist(), vectors

    def document(self, number: int) -> NewDocument:
        """A block as a document of the store."""
        words, vectors = self.block(number)
        chunks = [
            NewChunk(self.text(row[:3]), self.text(row), 0, 1, vector)
            for row, vector in zip(words, vectors, strict=True)
        ]
        return NewDocument(f"{number:05}", str(number), ENCODER, chunks)

    def questions(self, size: int) -> Iterator[Question]:
        """Questions about the first `size` chunks."""
        random = numpy.random.default_rng(2)
        for _ in range(QUESTIONS):
            words, vectors = self.block(int(random.integers(0, size // BLOCK)))
            row = int(random.integers(0, BLOCK))
            noise = _unit(random.standard_normal((1, DIMENSION), dtype=numpy.float32))
            content = [word for word in words[row] if word >= STOPS]
            asked = random.choice(content, min(5, len(content)), replace=False).tolist()
            others = numpy.searchsorted(self._sums, random.random(12)).tolist()
            asked += [word for word in others if STOPS <= word < WORDS][:3]
            yield Question(_unit(vectors[row : row + 1] + 0.7 * noise)[0], self.text(asked))

    def text(self, words: Sequence[int]) -> str:
        """Words as text."""
        return " ".join(self._names[word] for word in words)


def main() -> None:
    """Run the program."""
    arguments = _arguments()
    made_up = MadeUp()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    results = arguments.folder / "costs.json"
    costs: dict[str, dict[str, Any]] = json.loads(results.read_text()) if results.exists() else {}
    steps = {"make": _make, "compare": _compare, "time": _time}
    if arguments.only:
        steps = {arguments.only: steps[arguments.only]} if arguments.only != "draw" else {}
    for size in map(int, arguments.sizes.split(",")) if steps else ():
        folder = arguments.folder / str(size)
        folder.mkdir(exist_ok=True)
        with SqliteStore.open(folder / "scale.db") as store:
            for step in steps.values():
                found = step(store.knowledge("benchmark"), made_up, size, folder / "graph.usearch")
                print(f"{size:,}: {json.dumps(found, indent=1)}", flush=True)
                costs[str(size)] = costs.get(str(size), {}) | found
                results.write_text(json.dumps(costs, indent=1))
    if arguments.picture:
        _draw({int(size): found for size, found in costs.items()}, arguments.picture)


def _make(table: KnowledgeTable, made_up: MadeUp, size: int, file: Path) -> dict[str, Any]:
    """Store the chunks and make the graph of them anew."""
    there = {each.path for each in table.documents()}
    missing = [number for number in range(size // BLOCK) if f"{number:05}" not in there]
    started = time.perf_counter()
    for number in missing:
        table.replace_documents([made_up.document(number)])
    storing = time.perf_counter() - started
    file.unlink(missing_ok=True)
    exact = ExactVectors(table, ENCODER)
    graph = IndexedVectors(table, ENCODER, exact, file, least=1)
    processor = time.process_time()
    _, making = _timed(graph.prepare)
    processor = time.process_time() - processor
    return {
        "storing, chunks": BLOCK * len(missing),
        "storing, seconds": round(storing, 1),
        "making the graph, seconds": round(making, 1),
        "making the graph, processor seconds": round(processor, 1),
        "making the graph, memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "graph file, MB": round(file.stat().st_size / 2**20),
    }


def _compare(table: KnowledgeTable, made_up: MadeUp, size: int, file: Path) -> dict[str, Any]:
    """How much of what exact search finds the graph finds, too."""
    exact = ExactVectors(table, ENCODER)
    graph = IndexedVectors(table, ENCODER, exact, file, least=1)
    recalls: dict[int, list[float]] = {10: [], DEPTH: []}
    for question in made_up.questions(size):
        right, near = exact.nearest(question.vector, DEPTH), graph.nearest(question.vector, DEPTH)
        for depth, values in recalls.items():
            values.append(len({*list(right)[:depth]} & {*list(near)[:depth]}) / depth)
    return {
        "recall@10": round(statistics.mean(recalls[10]), 4),
        "recall@100": round(statistics.mean(recalls[DEPTH]), 4),
    }


def _time(table: KnowledgeTable, made_up: MadeUp, size: int, file: Path) -> dict[str, Any]:
    """What a search costs in what was made."""
    if len(table.chunk_ids(ENCODER)) != size or not file.exists():
        raise SystemExit(
            f"{file.parent} does not hold {size:,} chunks and their graph: run --only make first"
        )
    questions = list(made_up.questions(size))
    exact = ExactVectors(table, ENCODER)
    graph = IndexedVectors(table, ENCODER, exact, file, least=1)
    _, opening = _timed(graph.prepare)
    _, reading = _timed(exact.prepare)
    hybrid, indexed = PassageSearch(table, exact), PassageSearch(table, graph)
    ways: dict[str, Callable[[Question], object]] = {
        "words": lambda q: table.chunks_with_words(search_terms(q.text), DEPTH),
        "meaning, exact": lambda q: exact.nearest(q.vector, DEPTH),
        "meaning, graph": lambda q: graph.nearest(q.vector, DEPTH),
        "both, exact": lambda q: hybrid.search(q.vector, q.text, 10),
        "both, graph": lambda q: indexed.search(q.vector, q.text, 10),
    }
    return {
        "opening the graph, seconds": round(opening, 2),
        "exact: reading all vectors, seconds": round(reading, 2),
        **{name: _cost(way, questions) for name, way in ways.items()},
    }


def _cost(way: Callable[[Question], object], questions: Sequence[Question]) -> dict[str, float]:
    """Milliseconds of a question: on the wall and of the processor."""
    walls, processors = [], []
    for question in [*questions[:20], *questions]:
        processor = time.process_time()
        _, wall = _timed(lambda each=question: way(each))  # type: ignore[misc]
        walls.append(wall * 1000)
        processors.append((time.process_time() - processor) * 1000)
    walls, processors = sorted(walls[20:]), sorted(processors[20:])
    last = len(walls) * 95 // 100
    return {
        "p50": round(statistics.median(walls), 2),
        "p95": round(walls[last], 2),
        "processor p50": round(statistics.median(processors), 2),
        "processor p95": round(processors[last], 2),
    }


def _draw(costs: dict[int, dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawing, axis = pyplot.subplots(figsize=(7.5, 4.6))
    sizes = sorted(costs)
    styles = {
        "words": ("#8d96a3", ":", "o"),
        "meaning, exact": ("#30638e", "--", "s"),
        "meaning, graph": ("#d1495b", "--", "s"),
        "both, exact": ("#30638e", "-", "o"),
        "both, graph": ("#d1495b", "-", "o"),
    }
    for name, (colour, line, mark) in styles.items():
        values = [costs[size][name]["p50"] for size in sizes]
        axis.plot(sizes, values, color=colour, linestyle=line, marker=mark, label=name)
        axis.annotate(
            f"{values[-1]:.1f}",
            (sizes[-1], values[-1]),
            xytext=(8, -3),
            textcoords="offset points",
            fontsize=8,
            color=colour,
        )
    axis.set(xscale="log", yscale="log", xlabel="chunks", ylabel="ms a search, median")
    axis.set_xticks(sizes, [f"{each:,}" for each in sizes])
    axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axis.set_yticks(
        [0.5, 1, 2, 5, 10, 20, 50, 100, 200], ["0.5", "1", "2", "5", "10", "20", "50", "100", "200"]
    )
    axis.margins(x=0.12)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    axis.set_title("Cost of a search by the size of the knowledge", fontsize=11, loc="left")
    drawing.tight_layout()
    drawing.savefig(path, dpi=130)
    print(f"Drawn: {path}")


def _timed(action: Callable[[], object]) -> tuple[object, float]:
    started = time.perf_counter()
    result = action()
    return result, time.perf_counter() - started


def _unit(rows: Any) -> Floats:
    normed: Floats = (rows / numpy.linalg.norm(rows, axis=1, keepdims=True)).astype(numpy.float32)
    return normed


def _name(number: int) -> str:
    """A word of its own for every number: syllables of a consonant and a vowel."""
    letters = ""
    number += 60
    while number:
        number, syllable = divmod(number, 60)
        letters += "bdfgklmnprtv"[syllable // 5] + "aeiou"[syllable % 5]
    return letters


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where database and results are kept")
    parser.add_argument("--sizes", default="10000,100000,1000000", help="chunks, multiples of 1,000")
    parser.add_argument("--only", choices=("make", "compare", "time", "draw"), help="one step")
    parser.add_argument("--picture", type=Path, help="draw what was measured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
