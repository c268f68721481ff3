"""What only a file has: words of documents that were stored before there was an index of words, and what errors say."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy
import pytest

from agentkit.errors import RecordNotFound, StoreError
from agentkit.store.driver import sqlite3
from agentkit.store.full_text import search_terms
from agentkit.store.protocol import KnowledgeTable, NewChunk, NewDocument
from agentkit.store.vectors import to_blob
from tests.store.samples import open_store, unit
from tests.store.test_store_old_schemas import TIME, old_file


def put(table: KnowledgeTable, path: str, text: str) -> None:
    chunk = NewChunk("Returns", text, 0, len(text), unit(1, 0, 0))
    table.replace_documents([NewDocument(path, "hash", "e1", [chunk])])


def by_words(table: KnowledgeTable, text: str) -> list[str]:
    ids = [each for each, _ in table.chunks_with_words(search_terms(text), 10)]
    return [record.text for record in table.chunks(ids)]


def test_an_english_ending_does_not_matter(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        put(store.knowledge("shop"), "a.md", "text")
        assert by_words(store.knowledge("shop"), "returned") == ["text"]


def test_an_error_names_the_document_that_is_missing(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        put(store.knowledge("shop"), "a.md", "text")
        with pytest.raises(RecordNotFound, match=r"b\.md"):
            store.knowledge("shop").remove_documents(["a.md", "b.md"])


@pytest.mark.parametrize("number", [numpy.nan, numpy.inf])
def test_an_error_says_what_is_wrong_with_a_vector(tmp_path: Path, number: float) -> None:
    broken = NewChunk("", "text", 0, 4, numpy.array([1, number, 0], numpy.float32))
    with open_store(tmp_path) as store, pytest.raises(StoreError, match="finite numbers"):
        store.knowledge("shop").replace_documents([NewDocument("a.md", "hash", "e1", [broken])])


def test_the_documents_of_an_older_file_are_found_by_words(tmp_path: Path) -> None:
    path = old_file(tmp_path / "agentkit.db", 1)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO documents VALUES (1, 'shop', 'knowledge', 'a.md', 'hash', 'e1', ?)", (TIME,))
        raw.execute(
            "INSERT INTO chunks VALUES (1, 1, 0, 'Returns', '礼品卡 for oak chairs', 0, 18, 3, ?)",
            (to_blob(unit(1, 0, 0)),),
        )
    with open_store(tmp_path) as store:
        table = store.knowledge("shop")
        assert by_words(table, "chair") == by_words(table, "礼品") == ["礼品卡 for oak chairs"]
        assert [(each.kind, each.origin, each.tags) for each in table.documents()] == [("text", "", ())]
        table.remove_documents(["a.md"])
        assert by_words(table, "chair") == []
