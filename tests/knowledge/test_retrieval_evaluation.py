"""A collection in BEIR form is read, searched in three ways and measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.errors import BotFileError, ConfigurationError
from agentkit.knowledge.retrieval_evaluation import (
    RetrievalScores,
    evaluate_retrieval,
    read_retrieval_rows,
    write_run,
)
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing import HashingEncoder

CORPUS = [
    {"_id": "d1", "title": "Oak", "text": "Oil oak twice a year."},
    {"_id": "d2", "title": "Sofas", "text": "A sofa is returned within thirty days."},
    {"_id": "d3", "title": "", "text": "Lamps need bulbs."},
]
QUERIES = [
    {"_id": "q1", "text": "oil for oak"},
    {"_id": "q2", "text": "return a sofa"},
    {"_id": "q3", "text": "x"},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\nq2\td1\t0\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    corpus, queries, qrels = (tmp_path / name for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"))
    corpus.write_text("\n".join(map(json.dumps, CORPUS)) + "\n\n")
    queries.write_text("\n".join(map(json.dumps, QUERIES)))
    qrels.write_text(QRELS)
    return corpus, queries, qrels


@pytest.fixture
def scores(files: tuple[Path, Path, Path], tmp_path: Path) -> Iterator[RetrievalScores]:
    with SqliteStore.open(tmp_path / "eval.db") as store:
        yield evaluate_retrieval(read_retrieval_rows(*files), store.knowledge("eval"), HashingEncoder())


def test_every_way_is_measured_over_the_judged_queries(scores: RetrievalScores) -> None:
    assert (scores.documents, scores.queries) == (3, 2)
    assert {way: found.ndcg_10 for way, found in scores.ways.items()} == {"words": 1, "meaning": 1, "both": 1}
    figures = json.loads(scores.to_json())
    assert figures["ways"]["both"]["recall_100"] == 1
    assert "rankings" not in figures["ways"]["both"]


def test_the_run_file_is_that_of_trec(scores: RetrievalScores, tmp_path: Path) -> None:
    write_run(tmp_path / "run.trec", scores)
    lines = [line.split() for line in (tmp_path / "run.trec").read_text().splitlines()]
    assert lines[0][:4] == ["q1", "Q0", "d1", "1"]
    assert all(len(line) == 6 for line in lines)
    of_first = [float(line[4]) for line in lines if line[0] == "q1"]
    assert of_first == sorted(of_first, reverse=True)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_run(tmp_path, scores)


def test_judgements_may_have_the_four_columns_of_trec(files: tuple[Path, Path, Path]) -> None:
    files[2].write_text("q1\t0\td1\t2\n")
    assert read_retrieval_rows(*files).relevant == {"q1": {"d1": 2.0}}


@pytest.mark.parametrize(
    ("place", "content", "line", "message"),
    [
        (0, '{"_id": "d1"}\n{"_id": "d1"}', 2, "is there twice"),
        (0, '{"_id": "d1"}\nnot json', 2, "is no JSON"),
        (0, "[1]", 1, "is no JSON object"),
        (0, '{"title": "x"}', 1, "is missing or no text"),
        (1, '{"_id": "q1", "text": ""}', 1, "is missing or no text"),
        (2, "q1\td1\t1\nq1\td9\t1", 2, "no document 'd9'"),
        (2, "q1\td1\t1\nq9\td1\t1", 2, "no query 'q9'"),
        (2, "q1\td1\t1\nq1 d1 1", 2, "three columns"),
        (2, "", None, "holds no relevant document"),
    ],
)
def test_a_line_that_is_wrong_is_named(
    files: tuple[Path, Path, Path], place: int, content: str, line: int | None, message: str
) -> None:
    files[place].write_text(content)
    with pytest.raises(BotFileError, match=message) as caught:
        read_retrieval_rows(*files)
    assert (caught.value.path, caught.value.line) == (files[place], line)
