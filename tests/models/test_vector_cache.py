from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import pytest

from agentkit.errors import ModelError
from agentkit.models.vector_cache import CachedEncoder
from agentkit.testing.encoder import HashingEncoder

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors


class CountingEncoder(HashingEncoder):
    """Notes what it embeds."""

    def __init__(self, dimension: int = 256) -> None:
        super().__init__(dimension)
        self.embedded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return super().encode(texts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "vectors.db"


def test_a_text_is_embedded_once_even_by_another_process_of_the_same_encoder(path: Path) -> None:
    first, second = CountingEncoder(), CountingEncoder()
    one = CachedEncoder(first, path).encode(["a cake", "bread", "a cake"])
    two = CachedEncoder(second, path).encode(["bread", "a cake", "a bun"])
    assert first.embedded == ["a cake", "bread"]
    assert second.embedded == ["a bun"]
    assert numpy.array_equal(one, HashingEncoder().encode(["a cake", "bread", "a cake"]))
    assert numpy.array_equal(two, HashingEncoder().encode(["bread", "a cake", "a bun"]))


def test_vectors_of_another_encoder_are_not_taken(path: Path) -> None:
    CachedEncoder(CountingEncoder(), path).encode(["a cake"])
    other = CountingEncoder(128)
    assert CachedEncoder(other, path).encode(["a cake"]).shape == (1, 128)
    assert other.embedded == ["a cake"]


def test_no_text_gives_an_array_without_rows(path: Path) -> None:
    assert CachedEncoder(HashingEncoder(), path).encode([]).shape == (0, 256)


def test_the_file_holds_no_text(path: Path) -> None:
    CachedEncoder(HashingEncoder(), path).encode(["strawberry tart"])
    assert b"strawberry" not in path.read_bytes()


@pytest.mark.parametrize("damage", [lambda data: b"no database", lambda data: data[:4096] + b"\xff" * 4096])
def test_a_damaged_file_is_made_anew(path: Path, damage: object) -> None:
    assert callable(damage)
    texts = [f"cake number {number}" for number in range(50)]
    CachedEncoder(HashingEncoder(), path).encode(texts)
    path.write_bytes(damage(path.read_bytes()))
    encoder = CountingEncoder()
    vectors = CachedEncoder(encoder, path).encode(texts)
    assert encoder.embedded == texts
    assert numpy.array_equal(vectors, HashingEncoder().encode(texts))


def test_vectors_that_were_not_used_for_long_are_dropped(path: Path) -> None:
    CachedEncoder(HashingEncoder(), path, most=3).encode(["a", "b", "c"])
    CachedEncoder(HashingEncoder(), path, most=3).encode(["a"])
    CachedEncoder(HashingEncoder(), path, most=3).encode(["d"])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (3,)
    encoder = CountingEncoder()
    CachedEncoder(encoder, path, most=3).encode(["a", "d"])
    assert encoder.embedded == []


def test_threads_share_one_file(path: Path) -> None:
    texts = [f"cake number {number}" for number in range(40)]
    expected = HashingEncoder().encode(texts)
    wrong: list[int] = []

    def work(start: int) -> None:
        mine = texts[start:] + texts[:start]
        vectors = CachedEncoder(HashingEncoder(), path).encode(mine)
        if not numpy.array_equal(vectors, numpy.roll(expected, -start, axis=0)):
            wrong.append(start)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 40, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"file/vectors\.db cannot be used") as caught:
        CachedEncoder(HashingEncoder(), tmp_path / "file" / "vectors.db").encode(["a"])
    assert caught.value.hint
