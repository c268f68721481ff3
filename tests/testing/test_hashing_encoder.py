"""The encoder without weights: deterministic unit vectors, near for texts that share words."""

from __future__ import annotations

import subprocess
import sys

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.models.protocols import Encoder
from agentkit.testing import HashingEncoder

ENCODER = HashingEncoder()


def similarity(left: str, right: str) -> float:
    one, two = ENCODER.encode([left, right])
    return float(one @ two)


def test_it_is_an_encoder() -> None:
    assert isinstance(ENCODER, Encoder)
    assert ENCODER.id == "hashing-256"
    assert HashingEncoder(64).encode(["a", "b"]).shape == (2, 64)
    assert ENCODER.encode([]).shape == (0, 256)


def test_texts_with_common_words_are_near() -> None:
    question = "where is my order 1042"
    assert similarity(question, "my order 1042, where is it?") > 0.8
    assert similarity(question, "WHERE IS MY ORDER 1042!") == pytest.approx(1.0)
    assert similarity(question, "how do I oil an oak table") < 0.4


def test_a_misspelt_word_stays_nearer_than_another_word() -> None:
    assert similarity("delivery", "delivry") > similarity("delivery", "warranty") + 0.1


@given(texts=st.lists(st.text(max_size=40), max_size=5))
def test_every_text_has_a_finite_vector_of_length_one_that_does_not_depend_on_the_others(
    texts: list[str],
) -> None:
    vectors = ENCODER.encode(texts)
    assert vectors.dtype == numpy.float32
    assert numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert numpy.array_equal(ENCODER.encode([text])[0], vector)


def test_another_process_computes_the_same() -> None:
    code = "from agentkit.testing import HashingEncoder\n"
    code += "print(HashingEncoder(8).encode(['oak table'])[0].tobytes().hex())"
    outputs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert outputs == {HashingEncoder(8).encode(["oak table"])[0].tobytes().hex() + "\n"}
