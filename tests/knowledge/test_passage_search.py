"""Words find what meaning misses, meaning finds what words miss, and each passage says why it was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

from agentkit.errors import BotFileError, ModelError, RecordNotFound
from agentkit.events import PassageFound
from agentkit.knowledge import KnowledgeIndex
from agentkit.knowledge.search import WORDS_WEIGHT, PassageSearch
from agentkit.knowledge.vectors import ExactVectors, best_of
from agentkit.store.protocol import ChunkRecord, NewChunk, NewDocument
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing import HashingEncoder

ENCODER = HashingEncoder()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "bot.db") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "parts.md").write_text(
        "# Spare parts\n\nThe hinge for the wardrobe is part XK-4711.\n\n# Care\n\nClean wood with a damp cloth.\n"
    )
    (docs / "faq.csv").write_text("question,answer\nDo you sell gift cards?,From 10 to 500 EUR.\n")
    return docs


@pytest.fixture
def knowledge(store: SqliteStore) -> KnowledgeIndex:
    return KnowledgeIndex(store.knowledge("shop"), ENCODER)


def search(knowledge: KnowledgeIndex, text: str, limit: int = 5, reach: int = 0) -> list[PassageFound]:
    return knowledge.search(ENCODER.encode([text])[0], text, limit, reach=reach)


def test_a_code_is_found_by_its_words_whatever_the_vector_says(
    knowledge: KnowledgeIndex, folder: Path
) -> None:
    many = "\n\n".join(f"# Part {number}\n\nThis hinge is part XK-{number}." for number in range(4700, 4730))
    (folder / "parts.md").write_text(many)
    knowledge.add([folder / "parts.md"])
    elsewhere = ENCODER.encode(["another hinge"])[0]
    first = knowledge.search(elsewhere, "XK-4711", 1)[0]
    assert first.text == "This hinge is part XK-4711."
    assert first.words > 0


def test_a_passage_says_where_it_stands_and_why_it_was_found(knowledge: KnowledgeIndex, folder: Path) -> None:
    knowledge.add([folder])
    first = search(knowledge, "clean the wood")[0]
    source = (folder / "parts.md").read_text()
    assert source[first.start : first.end] == first.text == "Clean wood with a damp cloth."
    assert (first.document, first.heading, first.kind) == ("parts.md", "Care", "passage")
    assert first.similarity < first.score < first.similarity + WORDS_WEIGHT * first.words


def test_a_pair_is_found_by_its_question(knowledge: KnowledgeIndex, folder: Path) -> None:
    knowledge.add([folder])
    first = search(knowledge, "do you sell gift cards")[0]
    assert (first.kind, first.heading, first.text) == (
        "pair",
        "Do you sell gift cards?",
        "From 10 to 500 EUR.",
    )
    assert first.similarity == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("question", ["🎁", "?!", '" OR *', "NEAR(", "col:x AND", "\0", "", "what is it"])
def test_a_question_without_words_finds_by_its_vector(
    knowledge: KnowledgeIndex, folder: Path, question: str
) -> None:
    knowledge.add([folder])
    found = search(knowledge, question)
    assert len(found) == 3
    assert all(passage.words == 0 for passage in found)


@pytest.mark.parametrize("number", [numpy.nan, numpy.inf])
def test_a_vector_that_is_no_number_is_refused(
    knowledge: KnowledgeIndex, folder: Path, number: float
) -> None:
    knowledge.add([folder])
    with pytest.raises(ModelError, match="finite numbers"):
        knowledge.search(numpy.full(ENCODER.dimension, number, numpy.float32), "wood", 5)


def test_a_search_stays_within_its_tags(knowledge: KnowledgeIndex, folder: Path) -> None:
    knowledge.add([folder / "parts.md"], tags=["spares", "care"])
    knowledge.add([folder / "faq.csv"], tags=["buying"])
    vector = ENCODER.encode(["gift cards"])[0]
    assert {p.document for p in knowledge.search(vector, "gift cards", 5, tags=["care"])} == {"parts.md"}
    assert knowledge.search(vector, "gift cards", 5, tags=["nothing"]) == []


def test_neighbours_under_the_same_heading_join_a_passage_once(
    knowledge: KnowledgeIndex, tmp_path: Path
) -> None:
    names = ["apple", "berry", "cherry", "date", "elder"]
    paragraphs = [f"{name} {name} {'filler ' * 100}" for name in names]
    path = tmp_path / "long.md"
    path.write_text("# One\n\n" + "\n\n".join(paragraphs) + "\n\n# Two\n\nanother paragraph\n")
    knowledge.add([path])
    first, *others = search(knowledge, "cherry", reach=1)
    assert [name in first.text for name in names] == [False, True, True, True, False]
    source = path.read_text()
    assert source[first.start : first.end].split() == first.text.split()
    assert all("cherry" not in passage.text for passage in others)
    assert "another" not in first.text


class Replacing:
    """A table whose documents another process replaces between two looks of one search."""

    def __init__(self, table: Any, replace: Callable[[], object]) -> None:
        self._table = table
        self._replace = replace

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def neighbours(self, chunk: ChunkRecord, reach: int) -> list[ChunkRecord]:
        self._replace()
        found: list[ChunkRecord] = self._table.neighbours(chunk, reach)
        return found


def test_what_was_found_is_given_though_its_document_is_replaced_meanwhile(
    store: SqliteStore, knowledge: KnowledgeIndex, tmp_path: Path
) -> None:
    path = tmp_path / "long.md"
    path.write_text("# One\n\nthe berry is ripe\n")
    knowledge.add([path])
    path.write_text("# Two\n\nsomething else\n")
    table: Any = Replacing(store.knowledge("shop"), lambda: knowledge.add([path]))
    passages = PassageSearch(table, ExactVectors(table, ENCODER.id))
    (found,) = passages.search(ENCODER.encode(["berry"])[0], "berry", 1, reach=1)
    assert found.text == "the berry is ripe"


def test_added_documents_stay_when_the_bots_own_change(knowledge: KnowledgeIndex, folder: Path) -> None:
    knowledge.sync([folder / "parts.md"])
    assert knowledge.add([folder / "faq.csv"]).stored == ["faq.csv"]
    knowledge.sync([])
    assert [each.path for each in knowledge.documents()] == ["faq.csv"]
    assert knowledge.add([folder / "faq.csv"]).unchanged == 1


def test_only_added_documents_can_be_removed_and_all_or_none(knowledge: KnowledgeIndex, folder: Path) -> None:
    knowledge.sync([folder / "parts.md"])
    knowledge.add([folder / "faq.csv"])
    with pytest.raises(BotFileError, match="one of the bot's own"):
        knowledge.remove(["faq.csv", "parts.md"])
    with pytest.raises(RecordNotFound):
        knowledge.remove(["faq.csv", "nothing.md"])
    assert len(knowledge.documents()) == 2
    knowledge.remove(["faq.csv"])
    assert [each.path for each in knowledge.documents()] == ["parts.md"]


def test_a_name_belongs_to_one_file(knowledge: KnowledgeIndex, folder: Path, tmp_path: Path) -> None:
    knowledge.sync([folder / "parts.md"])
    with pytest.raises(BotFileError, match="one of the bot itself"):
        knowledge.add([folder / "parts.md"])
    knowledge.add([folder / "faq.csv"])
    (tmp_path / "faq.csv").write_text("question,answer\na,b\n")
    with pytest.raises(BotFileError, match=r"another document named `faq\.csv`"):
        knowledge.add([tmp_path / "faq.csv"])


def test_other_tags_are_a_change(knowledge: KnowledgeIndex, folder: Path) -> None:
    knowledge.add([folder / "faq.csv"], tags=["a"])
    assert knowledge.add([folder / "faq.csv"], tags=["b", "a", "b"]).stored == ["faq.csv"]
    assert knowledge.documents()[0].tags == ("a", "b")


def test_reindexing_reads_changed_files_and_names_missing_ones(
    knowledge: KnowledgeIndex, folder: Path
) -> None:
    knowledge.add([folder], tags=["t"])
    (folder / "faq.csv").write_text("question,answer\nDo you sell lamps?,Yes.\n")
    (folder / "parts.md").unlink()
    changes = knowledge.reindex()
    assert (changes.stored, changes.unchanged, changes.missing) == (["faq.csv"], 0, ["parts.md"])
    assert search(knowledge, "do you sell lamps")[0].text == "Yes."
    assert {each.tags for each in knowledge.documents()} == {("t",)}


def test_one_bad_file_among_many_leaves_everything_as_it_was(knowledge: KnowledgeIndex, folder: Path) -> None:
    (folder / "zz.pdf").write_bytes(b"%PDF-1.7 broken")
    with pytest.raises(BotFileError, match=r"zz\.pdf"):
        knowledge.add([folder])
    assert knowledge.documents() == []


def test_vectors_in_memory_follow_every_change(store: SqliteStore) -> None:
    table = store.knowledge("shop")
    vectors = ExactVectors(table, "e")
    rows = numpy.eye(4, dtype=numpy.float32)

    def put(path: str, *which: int) -> None:
        chunks = [NewChunk("", str(row), 0, 1, rows[row]) for row in which]
        table.replace_documents([NewDocument(path, "", "e", chunks)])

    def nearest(row: int) -> list[str]:
        return [each.text for each in table.chunks(vectors.nearest(rows[row], 9))]

    assert vectors.nearest(rows[0], 9) == {}
    put("a", 0, 1)
    put("b", 2)
    assert nearest(2) == ["2", "0", "1"]
    put("a", 3)
    assert nearest(2) == ["2", "3"]
    ids = table.chunk_ids("e")
    assert vectors.similarities(rows[2], [*ids, 999]) == {ids[0]: 1.0, ids[1]: 0.0}
    table.remove_documents(["a", "b"])
    assert nearest(2) == []
    put("c", 1)
    assert nearest(1) == ["1"]


def test_the_best_of_equal_scores_are_the_first() -> None:
    ids = numpy.arange(10, 20)
    scores = numpy.array([0, 1, 1, 0, 1, 2, 0, 1, 1, 1], numpy.float32)
    assert list(best_of(ids, scores, 3)) == [15, 11, 12]
    assert list(best_of(ids, scores, 0)) == []
    assert len(best_of(ids, scores, 99)) == 10
