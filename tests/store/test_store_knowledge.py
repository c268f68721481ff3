"""Documents are replaced as a whole, and found by words as well as by vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy
import pytest

from agentkit.errors import InputRejected, RecordNotFound, StoreError
from agentkit.store import migrations
from agentkit.store.driver import sqlite3
from agentkit.store.full_text import search_terms
from agentkit.store.protocol import KnowledgeTable, NewChunk, NewDocument
from tests.store.samples import open_store, unit


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[KnowledgeTable]:
    with open_store(tmp_path) as store:
        yield store.knowledge("shop")


def chunks(*texts: str) -> list[NewChunk]:
    return [
        NewChunk(f"Returns > {text}", text, 10 * row, 10 * row + len(text), unit(1, row, 0))
        for row, text in enumerate(texts)
    ]


def put(table: KnowledgeTable, path: str, *texts: str, tags: tuple[str, ...] = ()) -> None:
    table.replace_documents([NewDocument(path, "hash", "e1", chunks(*texts), tags=tags)])


def by_words(table: KnowledgeTable, text: str, limit: int = 10, tags: tuple[str, ...] = ()) -> list[str]:
    ids = [each for each, _ in table.chunks_with_words(search_terms(text), limit, tags)]
    return [record.text for record in table.chunks(ids)]


def test_a_document_reads_back_in_order(knowledge: KnowledgeTable) -> None:
    origin = NewDocument("b.csv", "hash-b", "e1", chunks("b0"), "pairs", "/tmp/b.csv", ("x", "a", "x"))
    knowledge.replace_documents([origin, NewDocument("a.md", "hash-a", "e1", chunks("a0", "a1"))])
    found = [(each.path, each.content_hash, each.encoder_id, each.chunks) for each in knowledge.documents()]
    assert found == [("a.md", "hash-a", "e1", 2), ("b.csv", "hash-b", "e1", 1)]
    described = [(each.kind, each.origin, each.tags) for each in knowledge.documents()]
    assert described == [("text", "", ()), ("pairs", "/tmp/b.csv", ("a", "x"))]
    ids, vectors = knowledge.chunk_vectors("e1")
    assert list(ids) == sorted(ids) == knowledge.chunk_ids("e1")
    numpy.testing.assert_array_equal(vectors, numpy.stack([unit(1, 0, 0), unit(1, 0, 0), unit(1, 1, 0)]))
    records = knowledge.chunks(ids)
    assert [record.text for record in records] == ["b0", "a0", "a1"]
    third = records[2]
    assert (third.document, third.kind, third.seq, third.heading) == ("a.md", "text", 1, "Returns > a1")
    assert (third.start, third.end) == (10, 12)
    assert knowledge.chunks(ids[::-1])[0].text == "a1"


def test_a_replaced_document_leaves_no_old_chunk(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "old 0", "old 1")
    old = knowledge.chunk_ids("e1")
    put(knowledge, "a.md", "new")
    ids = knowledge.chunk_ids("e1")
    assert [record.text for record in knowledge.chunks(ids)] == ["new"]
    assert set(ids).isdisjoint(old)
    assert knowledge.chunks(old) == []
    assert by_words(knowledge, "old") == []
    assert by_words(knowledge, "new") == ["new"]


def test_a_removed_document_is_gone_with_its_chunks(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "text")
    knowledge.remove_documents(["a.md"])
    assert knowledge.documents() == []
    assert knowledge.chunk_ids("e1") == []
    assert by_words(knowledge, "text") == []
    with pytest.raises(RecordNotFound, match=r"a\.md"):
        knowledge.remove_documents(["a.md"])


def test_removing_several_removes_all_or_none(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "text")
    with pytest.raises(RecordNotFound, match=r"b\.md"):
        knowledge.remove_documents(["a.md", "b.md"])
    assert by_words(knowledge, "text") == ["text"]


def test_vectors_of_another_encoder_are_left_out(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "text")
    ids, vectors = knowledge.chunk_vectors("e2")
    assert (ids, vectors.shape) == ((), (0, 0))
    assert knowledge.vectors_of(knowledge.chunk_ids("e1"), "e2")[0] == ()


def test_only_what_is_new_is_read_again(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "a0", "a1")
    last = knowledge.chunk_ids("e1")[-1]
    put(knowledge, "b.md", "b0")
    ids, vectors = knowledge.chunk_vectors("e1", after=last)
    assert [record.text for record in knowledge.chunks(ids)] == ["b0"]
    assert vectors.shape == (1, 3)


def test_some_vectors_come_in_the_order_asked(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "a0", "a1", "a2")
    ids = knowledge.chunk_ids("e1")
    found, vectors = knowledge.vectors_of([ids[2], 999, ids[0]], "e1")
    assert found == (ids[2], ids[0])
    numpy.testing.assert_array_equal(vectors, numpy.stack([unit(1, 2, 0), unit(1, 0, 0)]))


def test_words_find_the_chunk_that_holds_more_of_them_first(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "a chair of oak", "a table of oak and glass", "a lamp of glass")
    assert by_words(knowledge, "glass tables")[0] == "a table of oak and glass"
    assert len(by_words(knowledge, "glass tables")) == 2
    assert by_words(knowledge, "glass tables", limit=1) == ["a table of oak and glass"]
    assert by_words(knowledge, "glass", limit=0) == []
    assert by_words(knowledge, "?!") == []


def test_words_of_the_heading_are_found(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "text")
    assert by_words(knowledge, "return") == ["text"]


def test_nobody_finds_what_belongs_to_another_tenant(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in range(40):  # more of somebody else's, and better ones, than are looked at first
            put(store.knowledge("other"), f"{number}.md", "oak oak")
        mine = store.knowledge("shop")
        put(mine, "a.md", "a chair of oak and of many other kinds of wood")
        assert by_words(mine, "oak", limit=2) == ["a chair of oak and of many other kinds of wood"]
        theirs = store.knowledge("other").chunk_ids("e1")
        assert mine.chunks(theirs) == []
        assert mine.vectors_of(theirs, "e1")[0] == ()


def test_a_search_can_be_limited_to_tags(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "oak chair", tags=("chairs", "wood"))
    put(knowledge, "b.md", "oak table", tags=("tables",))
    put(knowledge, "c.md", "oak")
    assert by_words(knowledge, "oak", tags=("tables", "chairs")) == ["oak chair", "oak table"]
    assert by_words(knowledge, "oak", limit=1, tags=("tables",)) == ["oak table"]
    assert by_words(knowledge, "oak", tags=("lamps",)) == []
    assert len(knowledge.chunk_ids("e1", ["wood"])) == 1


def test_neighbours_are_those_of_the_same_document(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "a0", "a1", "a2", "a3")
    put(knowledge, "b.md", "b0")
    second = next(each for each in knowledge.chunks(knowledge.chunk_ids("e1")) if each.text == "a1")
    assert [each.text for each in knowledge.neighbours(second, 1)] == ["a0", "a1", "a2"]
    assert [each.text for each in knowledge.neighbours(second, 9)] == ["a0", "a1", "a2", "a3"]


def test_the_version_grows_with_every_write(knowledge: KnowledgeTable, tmp_path: Path) -> None:
    assert knowledge.version() == 0
    put(knowledge, "a.md", "text")
    with open_store(tmp_path) as another:
        another.knowledge("shop").remove_documents(["a.md"])
        put(another.knowledge("shop", "internal"), "a.md")
    assert knowledge.version() == 2


def test_a_document_that_cannot_be_stored_leaves_the_old_one(knowledge: KnowledgeTable) -> None:
    put(knowledge, "a.md", "text")
    with pytest.raises(InputRejected):
        put(knowledge, "a.md", "good", "\ud800")
    assert by_words(knowledge, "text") == ["text"]
    assert by_words(knowledge, "good") == []
    assert knowledge.version() == 1


@pytest.mark.parametrize("number", [numpy.nan, numpy.inf])
def test_a_vector_that_is_no_number_is_not_stored(knowledge: KnowledgeTable, number: float) -> None:
    broken = NewChunk("", "text", 0, 4, numpy.array([1, number, 0], numpy.float32))
    with pytest.raises(StoreError, match="finite numbers"):
        knowledge.replace_documents([NewDocument("a.md", "hash", "e1", [broken])])
    assert knowledge.documents() == []


def test_the_documents_of_an_older_file_are_found_by_words(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        put(store.knowledge("shop"), "a.md", "礼品卡 for oak chairs")
    # The file as the first version of the schema left it.
    with closing(sqlite3.connect(tmp_path / "agentkit.db")) as raw:
        raw.executescript(
            "DROP TABLE chunk_words; DROP TABLE document_tags; ALTER TABLE documents DROP COLUMN kind;"
            "ALTER TABLE documents DROP COLUMN origin; PRAGMA user_version = 1;"
            "DELETE FROM _sqlite_migrations WHERE name <> 'first_schema'"
        )
    with open_store(tmp_path) as store:
        assert migrations.NEWEST_VERSION >= 2
        table = store.knowledge("shop")
        assert by_words(table, "chair") == by_words(table, "礼品") == ["礼品卡 for oak chairs"]
        table.remove_documents(["a.md"])
        assert by_words(table, "chair") == []
