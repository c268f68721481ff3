"""Recall is measured on data in BEIR form, through a real store; bad data is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.errors import ConfigurationError
from agentkit.memory.evaluation import evaluate_recall, mean_recall, read_dialogues
from agentkit.store.sqlite_store import SqliteStore
from tests.memory.words import WordEncoder

TURNS = [
    ("t1", "Ann", "Monday", "Good morning, how is the weather in the harbour?"),
    ("t2", "Bob", "Monday", "My boat is blue and called Marigold."),
    ("t3", "Ann", "Monday", "That sounds wonderful, tell me more about it."),
    ("t4", "Bob", "Friday", "We sold the old piano to a school in Leeds."),
    ("t5", "Ann", "Friday", "I baked seven loaves of rye bread yesterday."),
]
QUESTIONS = [
    ("q1", "What is the name of the blue boat?", ["t2"]),
    ("q2", "Who bought the piano?", ["t4", "t5"]),
]


def written(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"_id": i, "speaker": s, "time": t, "title": "", "text": text} for i, s, t, text in TURNS]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = [{"_id": i, "text": text} for i, text, _ in QUESTIONS] + [{"_id": "q9", "text": "no answer"}]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)))
    lines = [f"{query}\t{turn}\t1" for query, _, turns in QUESTIONS for turn in turns]
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\nq1\tt1\t0\n")
    return folder


def test_a_folder_or_all_folders_in_it_are_read(tmp_path: Path) -> None:
    [alone] = read_dialogues(written(tmp_path / "data" / "b"))
    written(tmp_path / "data" / "a")
    assert [each.name for each in read_dialogues(tmp_path / "data")] == ["a", "b"]
    assert [turn.id for turn in alone.turns] == ["t1", "t2", "t3", "t4", "t5"]
    assert alone.questions == {"q1": "What is the name of the blue boat?", "q2": "Who bought the piano?"}
    assert alone.relevant == {"q1": frozenset({"t2"}), "q2": frozenset({"t4", "t5"})}


def test_the_share_of_relevant_turns_that_are_found_is_measured(tmp_path: Path) -> None:
    [dialogue] = read_dialogues(written(tmp_path / "data"))
    scores = []
    for limit in (1, 10):
        with SqliteStore.open(tmp_path / f"{limit}.db") as store:
            ada = store.for_user("shop", "ada")
            scores.append(evaluate_recall(dialogue, WordEncoder(), ada, limit=limit, min_similarity=0.35))
            assert len(ada.conversations()) == 2
    first, ten = scores
    assert first.recall == pytest.approx((1 + 0.5) / 2)
    assert ten.recall >= first.recall
    assert mean_recall([first]) == first.recall
    assert 0 < ten.slowest(50) <= ten.slowest(95)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("corpus.jsonl", "{not json}", "corpus.jsonl, line 1"),
        ("corpus.jsonl", '{"_id": "t1"}', "corpus.jsonl, line 1"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1 t2 1\n", "qrels.tsv, line 2"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\tno-such\t1\n", "qrels.tsv, line 2"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\n", "No query"),
        ("queries.jsonl", None, "cannot be read"),
    ],
)
def test_bad_data_is_refused_with_its_place(
    tmp_path: Path, file: str, content: str | None, said: str
) -> None:
    folder = written(tmp_path / "data")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    with pytest.raises(ConfigurationError, match=said) as problem:
        read_dialogues(folder)
    assert problem.value.hint


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no corpus\.jsonl"):
        read_dialogues(tmp_path)
