"""Promises about documents, which are replaced as a whole, and found by words as well as by vectors."""

from __future__ import annotations

import numpy

from agentkit.errors import InputRejected, RecordNotFound, StoreError
from agentkit.store.full_text import search_terms
from agentkit.store.protocol import KnowledgeTable, NewChunk, NewDocument, Store
from agentkit.testing.promises.registry import OpenStore, of_a_store, of_stores, refused
from agentkit.testing.promises.samples import unit


def _chunks(*texts: str) -> list[NewChunk]:
    return [
        NewChunk(f"Returns > {text}", text, 10 * row, 10 * row + len(text), unit(1, row, 0))
        for row, text in enumerate(texts)
    ]


def _put(table: KnowledgeTable, path: str, *texts: str, tags: tuple[str, ...] = ()) -> None:
    table.replace_documents([NewDocument(path, "hash", "e1", _chunks(*texts), tags=tags)])


def _by_words(table: KnowledgeTable, text: str, limit: int = 10, tags: tuple[str, ...] = ()) -> list[str]:
    found = table.chunks_with_words(search_terms(text), limit, tags)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= table.most_words(search_terms(text)) for score in scores)
    assert table.most_words([*search_terms(text), "nowhere"]) > table.most_words(search_terms(text))
    return [record.text for record in table.chunks(number for number, _ in found)]


@of_a_store
def _a_document_reads_back_in_order(store: Store) -> None:
    knowledge = store.knowledge("shop")
    first = NewDocument("b.csv", "hash-b", "e1", _chunks("b0"), "pairs", "/tmp/b.csv", ("x", "a", "x"))
    knowledge.replace_documents([first, NewDocument("a.md", "hash-a", "e1", _chunks("a0", "a1"))])
    found = [(each.path, each.content_hash, each.encoder_id, each.chunks) for each in knowledge.documents()]
    assert found == [("a.md", "hash-a", "e1", 2), ("b.csv", "hash-b", "e1", 1)]
    described = [(each.kind, each.origin, each.tags) for each in knowledge.documents()]
    assert described == [("text", "", ()), ("pairs", "/tmp/b.csv", ("a", "x"))]
    ids, vectors = knowledge.chunk_vectors("e1")
    assert list(ids) == sorted(ids) == knowledge.chunk_ids("e1")
    numpy.testing.assert_array_equal(vectors, numpy.stack([unit(1, 0, 0), unit(1, 0, 0), unit(1, 1, 0)]))
    records = knowledge.chunks(ids)
    assert [(record.text, record.kind) for record in records] == [
        ("b0", "pairs"),
        ("a0", "text"),
        ("a1", "text"),
    ]
    third = records[2]
    assert (third.document, third.seq, third.heading) == ("a.md", 1, "Returns > a1")
    assert (third.start, third.end) == (10, 12)
    assert knowledge.chunks(ids[::-1])[0].text == "a1"
    assert {record.asked for record in records} == {()}


@of_a_store
def _what_is_asked_for_a_chunk_reads_back(store: Store) -> None:
    knowledge = store.knowledge("shop")
    asked = ("wie lange?", 'what is "it"?')
    chunks = [NewChunk("H", "one", 0, 3, unit(1, 0, 0), asked), NewChunk("H", "two", 4, 7, unit(1, 1, 0))]
    knowledge.replace_documents([NewDocument("a.md", "hash", "e1", chunks)])
    first, second = knowledge.chunks(knowledge.chunk_ids("e1"))
    assert (first.asked, second.asked) == (asked, ())
    assert [each.asked for each in knowledge.neighbours(second, 1)] == [asked, ()]
    broken = [NewChunk("H", "one", 0, 3, unit(1, 0, 0), ("\ud800",))]
    with refused(InputRejected):
        knowledge.replace_documents([NewDocument("b.md", "hash", "e1", broken)])


@of_a_store
def _a_replaced_document_leaves_no_old_chunk(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "old 0", "old 1")
    old = knowledge.chunk_ids("e1")
    _put(knowledge, "a.md", "new")
    ids = knowledge.chunk_ids("e1")
    assert [record.text for record in knowledge.chunks(ids)] == ["new"]
    assert set(ids).isdisjoint(old)
    assert knowledge.chunks(old) == []
    assert knowledge.vectors_of(old, "e1")[0] == ()
    assert _by_words(knowledge, "old") == []
    assert _by_words(knowledge, "new") == ["new"]


@of_a_store
def _a_removed_document_is_gone_with_its_chunks(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "text")
    old = knowledge.chunk_ids("e1")
    knowledge.remove_documents(["a.md"])
    assert knowledge.documents() == []
    assert knowledge.chunk_ids("e1") == []
    assert knowledge.chunk_vectors("e1")[0] == ()
    assert _by_words(knowledge, "text") == []
    with refused(RecordNotFound):
        knowledge.remove_documents(["a.md"])
    _put(knowledge, "a.md", "text")
    assert set(old).isdisjoint(knowledge.chunk_ids("e1"))


@of_a_store
def _removing_several_documents_removes_all_or_none(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "text")
    for missing in ("b.md", "a.md"):
        with refused(RecordNotFound):
            knowledge.remove_documents(["a.md", missing])
        assert _by_words(knowledge, "text") == ["text"]
    _put(knowledge, "b.md", "text")
    knowledge.remove_documents(["b.md", "a.md"])
    assert knowledge.documents() == []


@of_a_store
def _vectors_of_another_encoder_are_left_out(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "text")
    ids, vectors = knowledge.chunk_vectors("e2")
    assert (ids, vectors.shape) == ((), (0, 0))
    assert knowledge.chunk_ids("e2") == []
    assert knowledge.vectors_of(knowledge.chunk_ids("e1"), "e2")[0] == ()


@of_a_store
def _only_what_is_new_is_read_again(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "a0", "a1")
    last = knowledge.chunk_ids("e1")[-1]
    _put(knowledge, "b.md", "b0")
    ids, vectors = knowledge.chunk_vectors("e1", after=last)
    assert [record.text for record in knowledge.chunks(ids)] == ["b0"]
    assert vectors.shape == (1, 3)


@of_a_store
def _some_vectors_come_in_the_order_asked(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "a0", "a1", "a2")
    ids = knowledge.chunk_ids("e1")
    found, vectors = knowledge.vectors_of([ids[2], 999, ids[0]], "e1")
    assert found == (ids[2], ids[0])
    numpy.testing.assert_array_equal(vectors, numpy.stack([unit(1, 2, 0), unit(1, 0, 0)]))


@of_a_store
def _words_find_the_chunk_that_holds_more_of_them_first(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "a chair of oak", "a table of oak and glass", "a lamp of glass")
    assert _by_words(knowledge, "glass tables")[0] == "a table of oak and glass"
    assert len(_by_words(knowledge, "glass tables")) == 2
    assert _by_words(knowledge, "glass tables", limit=1) == ["a table of oak and glass"]
    assert _by_words(knowledge, "glass", limit=0) == []
    assert _by_words(knowledge, "?!") == []


@of_a_store
def _words_are_found_without_case_and_accents_and_in_scripts_without_spaces(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "Ein Café in Köln", "我们出售礼品卡", "品礼")
    assert _by_words(knowledge, "CAFE") == _by_words(knowledge, "köln") == ["Ein Café in Köln"]
    assert _by_words(knowledge, "礼品") == ["我们出售礼品卡"]


@of_a_store
def _words_of_the_heading_are_found_and_count_like_those_of_the_text(store: Store) -> None:
    knowledge = store.knowledge("shop")
    above = NewChunk("Oak", "a chair", 0, 7, unit(1, 0, 0))
    within = NewChunk("Chair", "an oak", 7, 13, unit(1, 1, 0))
    others = [NewChunk("Lamp", f"glass {row}", row, row + 1, unit(1, 2, 0)) for row in range(3)]
    knowledge.replace_documents([NewDocument("a.md", "hash", "e1", [within, above, *others])])
    assert _by_words(knowledge, "lamps", limit=1)[0].startswith("glass")
    assert sorted(_by_words(knowledge, "oak")) == ["a chair", "an oak"]


@of_a_store
def _words_of_another_tenant_hide_nothing(store: Store) -> None:
    for number in range(40):  # more of somebody else's, and better ones, than are looked at first
        _put(store.knowledge("other"), f"{number}.md", "oak oak")
    mine = store.knowledge("shop")
    _put(mine, "a.md", "a chair of oak and of many other kinds of wood")
    assert _by_words(mine, "oak", limit=2) == ["a chair of oak and of many other kinds of wood"]


@of_a_store
def _a_search_can_be_limited_to_tags(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "oak chair", tags=("chairs", "wood"))
    _put(knowledge, "b.md", "oak table", tags=("tables",))
    _put(knowledge, "c.md", "oak")
    assert sorted(_by_words(knowledge, "oak", tags=("tables", "chairs"))) == ["oak chair", "oak table"]
    assert _by_words(knowledge, "oak", limit=1, tags=("tables",)) == ["oak table"]
    assert _by_words(knowledge, "oak", tags=("lamps",)) == []
    assert len(knowledge.chunk_ids("e1", ["wood"])) == 1
    assert len(knowledge.chunk_ids("e1")) == 3


@of_a_store
def _neighbours_are_those_of_the_same_document(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "a0", "a1", "a2", "a3")
    _put(knowledge, "b.md", "b0")
    second = next(each for each in knowledge.chunks(knowledge.chunk_ids("e1")) if each.text == "a1")
    assert [each.text for each in knowledge.neighbours(second, 1)] == ["a0", "a1", "a2"]
    assert [each.text for each in knowledge.neighbours(second, 9)] == ["a0", "a1", "a2", "a3"]
    assert store.knowledge("other shop").neighbours(second, 9) == []
    knowledge.remove_documents(["a.md"])
    assert knowledge.neighbours(second, 9) == []


@of_stores
def __the_version_grows_with_every_write(open_store: OpenStore) -> None:
    store, another = open_store(), open_store()
    knowledge = store.knowledge("shop")
    assert knowledge.version() == 0
    _put(knowledge, "a.md", "text")
    another.knowledge("shop").remove_documents(["a.md"])
    _put(another.knowledge("shop", "internal"), "a.md")
    assert knowledge.version() == 2
    store.close()
    another.close()


@of_a_store
def __knowledge_belongs_to_a_tenant(store: Store) -> None:
    _put(store.knowledge("shop"), "returns.md", "text")
    ids = store.knowledge("shop").chunk_ids("e1")
    for other in (store.knowledge("other shop"), store.knowledge("shop", "internal")):
        assert other.documents() == []
        assert other.chunk_ids("e1") == []
        assert other.chunks(ids) == []
        assert other.vectors_of(ids, "e1")[0] == ()
        assert _by_words(other, "text") == []
        with refused(RecordNotFound):
            other.remove_documents(["returns.md"])


@of_a_store
def _a_document_that_cannot_be_stored_leaves_the_old_ones(store: Store) -> None:
    knowledge = store.knowledge("shop")
    _put(knowledge, "a.md", "text")
    good = NewDocument("b.md", "hash", "e1", _chunks("good"))
    with refused(InputRejected):
        knowledge.replace_documents([good, NewDocument("a.md", "2", "e1", _chunks("good", "\ud800"))])
    assert [(each.path, each.content_hash) for each in knowledge.documents()] == [("a.md", "hash")]
    assert _by_words(knowledge, "text") == ["text"]
    assert _by_words(knowledge, "good") == []
    assert knowledge.version() == 1


@of_a_store
def _a_vector_that_is_no_number_is_not_stored(store: Store) -> None:
    knowledge = store.knowledge("shop")
    for number in (numpy.nan, numpy.inf):
        broken = NewChunk("", "text", 0, 4, numpy.array([1, number, 0], numpy.float32))
        with refused(StoreError):
            knowledge.replace_documents([NewDocument("a.md", "hash", "e1", [broken])])
    assert knowledge.documents() == []
