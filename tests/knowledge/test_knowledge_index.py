"""The index holds what the folder holds, embeds only what changed, and finds the nearest passages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import pytest

from agentkit.errors import BotFileError
from agentkit.knowledge import KnowledgeIndex
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing import HashingEncoder

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors


class CountingEncoder(HashingEncoder):
    """Counts the texts that it embeds, and can break off."""

    def __init__(self, dimension: int = 256) -> None:
        super().__init__(dimension)
        self.texts: list[str] = []
        self.break_at = ""

    def encode(self, texts: Sequence[str]) -> Vectors:
        if self.break_at and any(self.break_at in text for text in texts):
            raise KeyboardInterrupt
        self.texts += texts
        return super().encode(texts)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "bot.db")
    yield opened
    opened.close()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "care").mkdir(parents=True)
    (folder / "delivery.md").write_text("# Delivery\n\nDelivery of a sofa costs 39 euros.\n")
    (folder / "care" / "wood.md").write_text(
        "# Wood\n\n## Oiling\n\nOil oak twice a year.\n\n## Stains\n\nUse soap.\n"
    )
    (folder / "notes.txt").write_text("Our showroom has a cafe.")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / ".draft.md").write_text("secret draft")
    return folder


def index(store: SqliteStore, encoder: HashingEncoder) -> KnowledgeIndex:
    return KnowledgeIndex(store.knowledge("shop"), encoder)


def found(knowledge: KnowledgeIndex, question: str, limit: int = 3) -> list[str]:
    vector = HashingEncoder().encode([question])[0]
    return [passage.text for passage in knowledge.search(vector, question, limit)]


def test_the_nearest_passage_comes_first_with_document_and_heading(store: SqliteStore, docs: Path) -> None:
    knowledge = index(store, CountingEncoder())
    assert knowledge.sync([docs]) == 3
    question = "how often should I oil oak"
    first, second = knowledge.search(HashingEncoder().encode([question])[0], question, 2)
    assert (first.document, first.heading, first.text) == (
        "care/wood.md",
        "Wood › Oiling",
        "Oil oak twice a year.",
    )
    assert 1.0 >= first.similarity > second.similarity


def test_the_heading_is_searched_too(store: SqliteStore, docs: Path) -> None:
    knowledge = index(store, CountingEncoder())
    knowledge.sync([docs])
    assert found(knowledge, "stains")[0] == "Use soap."


def test_a_passage_is_found_by_what_its_author_says_people_ask(store: SqliteStore, docs: Path) -> None:
    knowledge = index(store, CountingEncoder())
    knowledge.sync([docs])
    question = "spilled wine on my table"
    assert found(knowledge, question)[0] != "Use soap."
    text = (docs / "care" / "wood.md").read_text()
    asked = "## Stains\nAlso asked: I spilled wine\nAlso asked: coffee on the table\n"
    (docs / "care" / "wood.md").write_text(text.replace("## Stains\n", asked))
    assert knowledge.sync([docs]) == 1
    first, *others = knowledge.search(HashingEncoder().encode([question])[0], question, 4)
    assert (first.heading, first.text) == ("Wood › Stains", "Use soap.")
    assert first.similarity > 2 * max(each.similarity for each in others)
    _, vectors = store.knowledge("shop").chunk_vectors(CountingEncoder().id)
    assert numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_second_sync_embeds_nothing(store: SqliteStore, docs: Path) -> None:
    encoder = CountingEncoder()
    index(store, encoder).sync([docs])
    assert len(encoder.texts) == 4
    assert index(store, encoder).sync([docs]) == 0
    assert len(encoder.texts) == 4


def test_only_the_changed_document_is_embedded_again(store: SqliteStore, docs: Path) -> None:
    encoder = CountingEncoder()
    knowledge = index(store, encoder)
    knowledge.sync([docs])
    encoder.texts.clear()
    (docs / "delivery.md").write_text("# Delivery\n\nDelivery of a sofa is free.\n")
    assert knowledge.sync([docs]) == 1
    assert encoder.texts == ["Delivery\nDelivery of a sofa is free."]
    assert found(knowledge, "delivery of a sofa")[0] == "Delivery of a sofa is free."
    assert len(found(knowledge, "delivery of a sofa", 10)) == 4


def test_a_document_that_is_gone_is_found_no_more(store: SqliteStore, docs: Path) -> None:
    knowledge = index(store, CountingEncoder())
    knowledge.sync([docs])
    (docs / "notes.txt").unlink()
    assert knowledge.sync([docs]) == 0
    assert all("showroom" not in text for text in found(knowledge, "showroom cafe", 10))


def test_another_encoder_embeds_everything_again(store: SqliteStore, docs: Path) -> None:
    index(store, CountingEncoder()).sync([docs])
    other = CountingEncoder(128)
    assert index(store, other).sync([docs]) == 3
    assert len(other.texts) == 4


def test_what_another_process_adds_is_found_at_once(store: SqliteStore, docs: Path, tmp_path: Path) -> None:
    reader = index(store, CountingEncoder())
    assert found(reader, "sofa") == []
    other = SqliteStore.open(tmp_path / "bot.db")
    index(other, CountingEncoder()).sync([docs])
    other.close()
    assert found(reader, "delivery of a sofa")[0].startswith("Delivery of a sofa")


def test_an_interruption_loses_nothing_and_the_next_sync_goes_on(store: SqliteStore, docs: Path) -> None:
    long = "\n\n".join(f"# Part {number}\n\nOil oak number {number}." for number in range(64))
    (docs / "care" / "wood.md").write_text(long)
    encoder = CountingEncoder()
    encoder.break_at = "showroom"
    knowledge = index(store, encoder)
    with pytest.raises(KeyboardInterrupt):
        knowledge.sync([docs / "care", docs / "delivery.md", docs / "notes.txt"])
    assert found(knowledge, "oil oak")[0].startswith("Oil oak")
    encoder.break_at = ""
    assert knowledge.sync([docs / "care", docs / "delivery.md", docs / "notes.txt"]) == 2
    assert len(encoder.texts) == 66


def test_single_files_can_be_given(store: SqliteStore, docs: Path) -> None:
    knowledge = index(store, CountingEncoder())
    assert knowledge.sync([docs / "delivery.md", docs / "care"]) == 2
    assert {each.path for each in store.knowledge("shop").documents()} == {"delivery.md", "wood.md"}


def test_an_empty_document_is_no_error(store: SqliteStore, docs: Path) -> None:
    (docs / "empty.md").write_text("")
    assert index(store, CountingEncoder()).sync([docs]) == 4


def test_a_limit_of_none_and_an_empty_index_find_nothing(store: SqliteStore, docs: Path) -> None:
    knowledge = index(store, CountingEncoder())
    assert found(knowledge, "sofa") == []
    knowledge.sync([docs])
    assert found(knowledge, "sofa", 0) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9", "no UTF-8 text"),
        ("text".encode("utf-16-le"), "NUL"),
        (b"a\x00b", "NUL"),
        (b"a" * (16 * 1024 * 1024 + 1), "more than 16 MB"),
    ],
)
def test_a_file_that_is_no_text_is_named_and_changes_nothing(
    store: SqliteStore, docs: Path, content: bytes, message: str
) -> None:
    encoder = CountingEncoder()
    knowledge = index(store, encoder)
    knowledge.sync([docs])
    (docs / "notes.txt").unlink()
    (docs / "delivery.md").write_text("changed")
    (docs / "zz.md").write_bytes(content)
    with pytest.raises(BotFileError, match=message) as caught:
        knowledge.sync([docs])
    assert caught.value.path == docs / "zz.md"
    assert len(encoder.texts) == 4
    assert len(store.knowledge("shop").documents()) == 3


def test_a_missing_source_is_named_and_removes_nothing(store: SqliteStore, docs: Path) -> None:
    knowledge = index(store, CountingEncoder())
    knowledge.sync([docs])
    with pytest.raises(BotFileError, match="no such file or folder"):
        knowledge.sync([docs.parent / "dcos"])
    assert len(store.knowledge("shop").documents()) == 3


def test_two_documents_of_one_name_are_refused(store: SqliteStore, docs: Path) -> None:
    (docs / "care" / "delivery.md").write_text("x")
    with pytest.raises(BotFileError, match=r"another document named `delivery\.md`"):
        index(store, CountingEncoder()).sync([docs, docs / "care"])
