"""Documents are replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from agentkit.errors import InputRejected, RecordNotFound
from agentkit.store.protocol import KnowledgeTable, NewChunk
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


def test_a_document_reads_back_in_order(knowledge: KnowledgeTable) -> None:
    knowledge.replace_document("b.md", "hash-b", chunks("b0"), encoder_id="e1")
    knowledge.replace_document("a.md", "hash-a", chunks("a0", "a1"), encoder_id="e1")
    found = [(each.path, each.content_hash, each.encoder_id, each.chunks) for each in knowledge.documents()]
    assert found == [("a.md", "hash-a", "e1", 2), ("b.md", "hash-b", "e1", 1)]
    ids, vectors = knowledge.chunk_vectors("e1")
    numpy.testing.assert_array_equal(vectors, numpy.stack([unit(1, 0, 0), unit(1, 1, 0), unit(1, 0, 0)]))
    records = knowledge.chunks(ids)
    assert [record.text for record in records] == ["a0", "a1", "b0"]
    second = records[1]
    assert (second.document, second.seq, second.heading) == ("a.md", 1, "Returns > a1")
    assert (second.start, second.end) == (10, 12)
    assert knowledge.chunks(ids[::-1])[0].text == "b0"


def test_a_replaced_document_leaves_no_old_chunk(knowledge: KnowledgeTable) -> None:
    knowledge.replace_document("a.md", "1", chunks("old 0", "old 1"), encoder_id="e1")
    old, _ = knowledge.chunk_vectors("e1")
    knowledge.replace_document("a.md", "2", chunks("new"), encoder_id="e1")
    ids, _ = knowledge.chunk_vectors("e1")
    assert [record.text for record in knowledge.chunks(ids)] == ["new"]
    assert set(ids).isdisjoint(old)
    with pytest.raises(RecordNotFound, match="was replaced or removed"):
        knowledge.chunks(old)


def test_a_removed_document_is_gone_with_its_chunks(knowledge: KnowledgeTable) -> None:
    knowledge.replace_document("a.md", "1", chunks("text"), encoder_id="e1")
    knowledge.remove_document("a.md")
    assert knowledge.documents() == []
    assert knowledge.chunk_vectors("e1")[0] == ()
    with pytest.raises(RecordNotFound, match=r"a\.md"):
        knowledge.remove_document("a.md")


def test_vectors_of_another_encoder_are_left_out(knowledge: KnowledgeTable) -> None:
    knowledge.replace_document("a.md", "1", chunks("text"), encoder_id="e1")
    ids, vectors = knowledge.chunk_vectors("e2")
    assert (ids, vectors.shape) == ((), (0, 0))


def test_the_version_grows_with_every_write(knowledge: KnowledgeTable, tmp_path: Path) -> None:
    assert knowledge.version() == 0
    knowledge.replace_document("a.md", "1", chunks("text"), encoder_id="e1")
    with open_store(tmp_path) as another:
        another.knowledge("shop").remove_document("a.md")
        another.knowledge("shop", "internal").replace_document("a.md", "1", [], encoder_id="e1")
    assert knowledge.version() == 2


def test_a_document_that_cannot_be_stored_leaves_the_old_one(knowledge: KnowledgeTable) -> None:
    knowledge.replace_document("a.md", "1", chunks("text"), encoder_id="e1")
    with pytest.raises(InputRejected):
        knowledge.replace_document("a.md", "2", chunks("good", "\ud800"), encoder_id="e1")
    assert [each.content_hash for each in knowledge.documents()] == ["1"]
    assert knowledge.version() == 1
