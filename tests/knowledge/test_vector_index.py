"""The graph only proposes: what it says is what the database says, whatever becomes of its file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy
import pytest

from agentkit.knowledge.vector_index import IndexedVectors, vector_search
from agentkit.knowledge.vectors import ExactVectors
from agentkit.store.protocol import KnowledgeTable, NewChunk, NewDocument
from agentkit.store.sqlite_store import SqliteStore

ENCODER = "made-up"
WIDTH = 64
Floats = numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float32]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "bot.db") as opened:
        yield opened


@pytest.fixture
def table(store: SqliteStore) -> KnowledgeTable:
    return store.knowledge("shop")


def vectors(count: int, seed: int = 0) -> Floats:
    found = numpy.random.default_rng(seed).standard_normal((count, WIDTH), dtype=numpy.float32)
    unit: Floats = found / numpy.linalg.norm(found, axis=1, keepdims=True)
    return unit


def fill(table: KnowledgeTable, name: str, rows: Floats, tags: Sequence[str] = ()) -> None:
    chunks = [NewChunk("", f"{name} {number}", 0, 1, row) for number, row in enumerate(rows)]
    table.replace_documents([NewDocument(name, name, ENCODER, chunks, tags=tags)])


def graph(table: KnowledgeTable, folder: Path, least: int = 100) -> IndexedVectors:
    return IndexedVectors(table, ENCODER, ExactVectors(table, ENCODER), folder / "a.usearch", least=least)


def test_the_graph_finds_nearly_all_that_comparing_everything_finds(
    table: KnowledgeTable, tmp_path: Path
) -> None:
    fill(table, "a", vectors(2_000))
    exact, near = ExactVectors(table, ENCODER), graph(table, tmp_path)
    shares = []
    for question in vectors(50, seed=1):
        right, found = exact.nearest(question, 10), near.nearest(question, 10)
        shares.append(len(right.keys() & found.keys()) / 10)
        for each in right.keys() & found.keys():
            assert found[each] == pytest.approx(right[each], abs=1e-6)  # not the 8 bits of the graph
        assert list(found.values()) == sorted(found.values(), reverse=True)
    assert numpy.mean(shares) > 0.95


def test_small_collections_and_searches_by_tag_are_exact_and_leave_no_file(
    table: KnowledgeTable, tmp_path: Path
) -> None:
    fill(table, "a", vectors(90))
    fill(table, "b", vectors(5, seed=2), tags=["new"])
    exact, near = ExactVectors(table, ENCODER), graph(table, tmp_path)
    question = vectors(1, seed=1)[0]
    assert near.nearest(question, 10) == exact.nearest(question, 10)
    assert not (tmp_path / "a.usearch").exists()
    fill(table, "c", vectors(50, seed=3))
    assert near.nearest(question, 9, ["new"]) == exact.nearest(question, 9, ["new"])
    assert len(near.nearest(question, 9, ["new"])) == 5


def test_what_was_added_is_found_and_what_was_removed_is_not(table: KnowledgeTable, tmp_path: Path) -> None:
    fill(table, "a", vectors(400))
    near = graph(table, tmp_path)
    wanted = vectors(1, seed=5)
    assert max(near.nearest(wanted[0], 1).values()) < 0.9
    fill(table, "b", wanted)
    (found,) = near.nearest(wanted[0], 1)
    assert near.similarities(wanted[0], [found, 987_654]) == pytest.approx({found: 1.0})
    table.remove_documents(["b"])
    assert found not in near.nearest(wanted[0], 400)
    assert len(near.nearest(wanted[0], 400)) > 390
    table.remove_documents(["a"])
    assert near.nearest(wanted[0], 3) == {}


def test_a_graph_of_which_much_is_gone_is_made_anew(
    table: KnowledgeTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(table, "a", vectors(300))
    fill(table, "b", vectors(300, seed=1))
    near = graph(table, tmp_path)
    near.prepare()
    caplog.clear()
    table.remove_documents(["a"])
    near.prepare()
    assert [each.message.split(":")[0] for each in caplog.records] == [
        "A graph of 300 chunks was made (much of it is gone); it finds 100.0 % of the nearest ten"
    ]


def test_the_next_process_reads_the_graph_and_says_nothing(
    table: KnowledgeTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(table, "a", vectors(300))
    first = graph(table, tmp_path)
    first.prepare()
    fill(table, "b", vectors(10, seed=1))
    before = (tmp_path / "a.usearch").read_bytes()
    caplog.clear()
    second = graph(table, tmp_path)
    question = vectors(1, seed=1)[0]
    assert max(second.nearest(question, 3).values()) == pytest.approx(1.0)
    assert caplog.records == []
    assert (tmp_path / "a.usearch").read_bytes() != before  # it follows the database


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("flip", "the file is damaged"),
        ("cut", "the file is damaged"),
        ("empty", "the file is damaged"),
        ("missing", "there is none yet"),
        ("no word of it", "there is none yet"),
        ("garbage", "the file cannot be read: ValidationError"),
        ("folder", "the file cannot be read: IsADirectoryError"),
        ("version", "that in the file is of another version"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_made_anew_with_one_line_in_the_log(
    damage: str, why: str, table: KnowledgeTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(table, "a", vectors(300))
    graph(table, tmp_path).prepare()
    file, beside = tmp_path / "a.usearch", tmp_path / "a.json"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    match damage:
        case "flip":
            file.write_bytes(content)
        case "cut":
            file.write_bytes(content[:1000])
        case "empty":
            file.write_bytes(b"")
        case "missing":
            file.unlink()
        case "no word of it":
            beside.unlink()
        case "garbage":
            beside.write_bytes(b"\xff{")
        case "folder":
            beside.unlink()
            beside.mkdir()
        case "version":
            beside.write_text(beside.read_text().replace("usearch", "other"))
    caplog.clear()
    near = graph(table, tmp_path)
    question = vectors(300)[7]
    assert max(near.nearest(question, 3).values()) == pytest.approx(1.0)
    assert [each.levelno for each in caplog.records][:1] == [logging.WARNING]
    assert f"({why})" in caplog.records[0].message
    assert len(caplog.records) == (2 if damage == "folder" else 1)  # a folder cannot be written over, either


def test_the_graph_of_another_database_is_not_used(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store.knowledge("shop"), "a", vectors(300))
    graph(store.knowledge("shop"), tmp_path).prepare()
    with SqliteStore.open(tmp_path / "other.db") as other:
        table = other.knowledge("shop")
        fill(table, "a", vectors(300, seed=9))
        caplog.clear()
        near = graph(table, tmp_path)
        assert max(near.nearest(vectors(300, seed=9)[0], 1).values()) == pytest.approx(1.0)
        assert "(the file belongs to another database)" in caplog.records[0].message


def test_a_graph_that_cannot_be_kept_serves_all_the_same(
    table: KnowledgeTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(table, "a", vectors(300))
    (tmp_path / "file").write_text("no folder")
    near = IndexedVectors(
        table, ENCODER, ExactVectors(table, ENCODER), tmp_path / "file" / "a.usearch", least=100
    )
    assert max(near.nearest(vectors(300)[0], 1).values()) == pytest.approx(1.0)
    assert "could not be kept" in caplog.records[-1].message


def test_threads_that_search_while_documents_come_find_what_is_there(
    table: KnowledgeTable, tmp_path: Path
) -> None:
    rows = vectors(1_000)
    fill(table, "first", rows)
    near = graph(table, tmp_path)
    wrong: list[int] = []

    def ask() -> None:
        for number in range(0, 1_000, 20):
            if max(near.nearest(rows[number], 2).values()) < 0.999:
                wrong.append(number)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(10):
        fill(table, f"more {number}", vectors(20, seed=number + 1))
    for thread in threads:
        thread.join()
    assert len(set(wrong)) <= 2  # of 50
    assert len(near.nearest(rows[0], 5_000)) > 1_150  # a graph may lose sight of a few


def test_every_database_and_encoder_has_a_graph_of_its_own(table: KnowledgeTable, tmp_path: Path) -> None:
    kinds = [
        vector_search(table, encoder, tmp_path / name)
        for encoder, name in (("a", "1.db"), ("b", "1.db"), ("a", "2.db"))
    ]
    assert len({each._file for each in kinds if isinstance(each, IndexedVectors)}) == 3


@pytest.mark.parametrize("count", [1, 300])
def test_chunks_that_do_not_find_themselves_are_added_again(
    count: int, table: KnowledgeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentkit.knowledge.vector_index._ITSELF", -1.0)  # none counts as found
    fill(table, "a", vectors(count))
    near = graph(table, tmp_path, least=1)
    for row in vectors(count):
        assert max(near.nearest(row, 3).values()) == pytest.approx(1.0)
    assert len(near.nearest(vectors(1)[0], 1_000)) == count
