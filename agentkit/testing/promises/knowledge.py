"""Promises about documents, which are replaced as a whole."""

from __future__ import annotations

import numpy

from agentkit.errors import InputRejected, RecordNotFound
from agentkit.store.protocol import NewChunk, Store
from agentkit.testing.promises.registry import OpenStore, of_a_store, of_stores, refused
from agentkit.testing.promises.samples import unit


def _chunks(*texts: str) -> list[NewChunk]:
    return [
        NewChunk(f"Returns > {text}", text, 10 * row, 10 * row + len(text), unit(1, row, 0))
        for row, text in enumerate(texts)
    ]


@of_a_store
def _a_document_reads_back_in_order(store: Store) -> None:
    knowledge = store.knowledge("shop")
    knowledge.replace_document("b.md", "hash-b", _chunks("b0"), encoder_id="e1")
    knowledge.replace_document("a.md", "hash-a", _chunks("a0", "a1"), encoder_id="e1")
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


@of_a_store
def _a_replaced_document_leaves_no_old_chunk(store: Store) -> None:
    knowledge = store.knowledge("shop")
    knowledge.replace_document("a.md", "1", _chunks("old 0", "old 1"), encoder_id="e1")
    old, _ = knowledge.chunk_vectors("e1")
    knowledge.replace_document("a.md", "2", _chunks("new"), encoder_id="e1")
    ids, _ = knowledge.chunk_vectors("e1")
    assert [record.text for record in knowledge.chunks(ids)] == ["new"]
    assert set(ids).isdisjoint(old)
    with refused(RecordNotFound):
        knowledge.chunks(old)


@of_a_store
def _a_removed_document_is_gone_with_its_chunks(store: Store) -> None:
    knowledge = store.knowledge("shop")
    knowledge.replace_document("a.md", "1", _chunks("text"), encoder_id="e1")
    knowledge.remove_document("a.md")
    assert knowledge.documents() == []
    assert knowledge.chunk_vectors("e1")[0] == ()
    with refused(RecordNotFound):
        knowledge.remove_document("a.md")


@of_a_store
def _vectors_of_another_encoder_are_left_out(store: Store) -> None:
    knowledge = store.knowledge("shop")
    knowledge.replace_document("a.md", "1", _chunks("text"), encoder_id="e1")
    ids, vectors = knowledge.chunk_vectors("e2")
    assert (ids, vectors.shape) == ((), (0, 0))


@of_stores
def __the_version_grows_with_every_write(open_store: OpenStore) -> None:
    store, another = open_store(), open_store()
    knowledge = store.knowledge("shop")
    assert knowledge.version() == 0
    knowledge.replace_document("a.md", "1", _chunks("text"), encoder_id="e1")
    another.knowledge("shop").remove_document("a.md")
    another.knowledge("shop", "internal").replace_document("a.md", "1", [], encoder_id="e1")
    assert knowledge.version() == 2
    store.close()
    another.close()


@of_a_store
def __knowledge_belongs_to_a_tenant(store: Store) -> None:
    store.knowledge("shop").replace_document("returns.md", "hash", [], encoder_id="e")
    assert store.knowledge("other shop").documents() == []
    assert store.knowledge("shop", "internal").documents() == []
    with refused(RecordNotFound):
        store.knowledge("other shop").remove_document("returns.md")


@of_a_store
def _a_document_that_cannot_be_stored_leaves_the_old_one(store: Store) -> None:
    knowledge = store.knowledge("shop")
    knowledge.replace_document("a.md", "1", _chunks("text"), encoder_id="e1")
    with refused(InputRejected):
        knowledge.replace_document("a.md", "2", _chunks("good", "\ud800"), encoder_id="e1")
    assert [each.content_hash for each in knowledge.documents()] == ["1"]
    assert knowledge.version() == 1
