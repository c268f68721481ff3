"""Recall finds what a user said, in other conversations of the same user, and nothing of anybody else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from agentkit.memory import Recall, RecallPool, memories_of
from agentkit.messages import assistant, user
from agentkit.store.protocol import NewMemory, UserStore
from agentkit.store.sqlite_store import SqliteStore
from tests.architecture.source_tree import ROOT
from tests.memory.words import WordEncoder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "agentkit.db") as opened:
        yield opened


@pytest.fixture
def ada(store: SqliteStore) -> UserStore:
    return store.for_user("shop", "ada")


@pytest.fixture
def recall(ada: UserStore) -> Recall:
    return Recall(ada, WordEncoder())


def say(store: UserStore, conversation: str, text: str, encoder: WordEncoder) -> None:
    turn = store.begin_turn(conversation, user(text))
    store.commit_turn(
        turn.id,
        reply=assistant("Thank you."),
        events=(),
        memories=memories_of(user(text), encoder),
        status="done",
    )


def texts(recall: Recall, query: str, limit: int = 5, min_similarity: float = 0.3) -> list[str]:
    return [found.text for found in recall.search(query, limit, min_similarity)]


def test_the_nearest_memory_comes_first(recall: Recall) -> None:
    for text in ("my sofa is grey", "my sofa is grey and large", "I live in Leeds"):
        recall.remember(text)
    assert texts(recall, "sofa grey") == ["my sofa is grey", "my sofa is grey and large"]
    assert texts(recall, "sofa grey", limit=1) == ["my sofa is grey"]
    assert texts(recall, "lamp") == []


def test_the_similarity_is_the_cosine(recall: Recall) -> None:
    recall.remember("my sofa is grey")
    [found] = recall.search("my sofa is grey")
    assert found.similarity == pytest.approx(1, abs=1e-5)
    vectors = WordEncoder().encode(["sofa grey", "my sofa is grey"])
    [found] = recall.search(vectors[0])
    assert found.similarity == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)


def test_nothing_of_another_user_or_tenant_is_found(store: SqliteStore) -> None:
    encoder = WordEncoder()
    secret = "my sofa is grey"
    Recall(store.for_user("shop", "ada"), encoder).remember(secret)
    pool = RecallPool(encoder)
    assert texts(pool.for_user(store.for_user("shop", "ada")), secret) == [secret]
    for tenant, name in (("shop", "ben"), ("other", "ada"), ("shop", ""), ("", "ada")):
        other = pool.for_user(store.for_user(tenant, name))
        assert other.search(secret, 10, -1.0) == []
        other.remember("I live in Leeds")
        assert texts(other, secret, 10, -1.0) == ["I live in Leeds"]


def test_the_present_conversation_can_be_left_out(ada: UserStore) -> None:
    encoder = WordEncoder()
    first, second = ada.new_conversation(), ada.new_conversation()
    say(ada, first, "the grey sofa squeaks when somebody sits down", encoder)
    say(ada, second, "the grey sofa squeaks again and again", encoder)
    recall = Recall(ada, encoder)
    assert len(recall.search("grey sofa squeaks", min_similarity=0.2)) == 2
    [found] = recall.search("grey sofa squeaks", min_similarity=0.2, exclude_conversation=second)
    assert found.conversation_id == first


def test_enough_is_found_behind_many_memories_that_do_not_count(ada: UserStore) -> None:
    encoder = WordEncoder()
    here, there = ada.new_conversation(), ada.new_conversation()
    for number in range(60):
        say(ada, here, f"grey sofa squeaks {number}", encoder)
    say(ada, there, "grey sofa squeaks very loudly at night", encoder)
    recall = Recall(ada, encoder)
    [found] = recall.search("grey sofa squeaks", 3, 0.2, exclude_conversation=here)
    assert found.conversation_id == there


def test_what_was_said_again_in_the_window_is_not_recalled_from_before_it(ada: UserStore) -> None:
    encoder, here = WordEncoder(), ada.new_conversation()
    for text in ("the grey sofa squeaks", "the grey sofa is large", "the grey sofa squeaks"):
        say(ada, here, text, encoder)
    recall = Recall(ada, encoder)
    found = recall.search("grey sofa", min_similarity=0.1, exclude_conversation=here, first_turn=2)
    assert {each.text for each in found} == {"the grey sofa is large"}
    found = recall.search("grey sofa", min_similarity=0.1, exclude_conversation=here, first_turn=3)
    assert {each.text for each in found} == {"the grey sofa squeaks", "the grey sofa is large"}


def test_others_are_found_behind_what_is_said_daily(ada: UserStore) -> None:
    encoder, here = WordEncoder(), ada.new_conversation()
    for day in range(80):
        say(ada, here, "grey sofa squeaks", encoder)
        if day % 40 == 0:
            say(ada, here, f"grey sofa squeaks loudly on day {day}", encoder)
    found = texts(Recall(ada, encoder), "grey sofa squeaks", 3, 0.1)
    on = "grey sofa squeaks loudly on day"
    assert sorted(found) == ["grey sofa squeaks", f"{on} 0", f"{on} 40"]


def test_texts_that_say_the_same_appear_once(recall: Recall) -> None:
    for text in ("My sofa is grey.", "my sofa is grey", "MY SOFA IS GREY!"):
        recall.remember(text)
    assert texts(recall, "sofa grey") == ["MY SOFA IS GREY!"]  # the newest


def test_a_fact_is_shown_in_place_of_the_same_message(recall: Recall) -> None:
    fact = recall.remember("my sofa is grey")
    recall.remember("My sofa is grey.", kind="message")
    [found] = recall.search("sofa grey")
    assert (found.memory_id, found.kind) == (fact, "fact")
    [found] = recall.search("sofa grey", kind="message")
    assert found.kind == "message"


def test_a_fact_is_shown_in_place_of_a_message_that_says_little_more(recall: Recall) -> None:
    recall.remember("Hello, my big old sofa is grey and far too large.", kind="message")
    recall.remember("my big old sofa is grey and far too large")
    recall.remember("my sofa is old. where do I find the invoice of the lamp I ordered?", kind="message")
    recall.remember("my sofa is old")
    found = recall.search("my old sofa", min_similarity=0.1)
    assert [(each.kind, each.text[:4]) for each in found] == [
        ("fact", "my s"),
        ("fact", "my b"),
        ("message", "my s"),
    ]


def test_memories_with_different_numbers_are_not_the_same(ada: UserStore) -> None:
    vector = numpy.full(64, 1 / 8, dtype=numpy.float32)
    for number in ("1042", "1043"):
        ada.add_memory(NewMemory("fact", f"my order is {number}", "user", 0.5, "words", vector))
    assert len(Recall(ada, WordEncoder()).search(vector)) == 2


def test_a_memory_keeps_its_trust(recall: Recall) -> None:
    recall.remember("the parcel is in the shed", trust="untrusted")
    assert [found.trust for found in recall.search("parcel shed")] == ["untrusted"]


def test_new_and_removed_memories_are_noticed(ada: UserStore, recall: Recall) -> None:
    first = recall.remember("my sofa is grey")
    assert texts(recall, "sofa grey") == ["my sofa is grey"]
    Recall(ada, WordEncoder()).remember("my sofa is grey and large")
    assert len(texts(recall, "sofa grey")) == 2
    ada.remove_memory(first)
    assert texts(recall, "sofa grey") == ["my sofa is grey and large"]


def test_memories_of_another_process_are_found(recall: Recall, tmp_path: Path) -> None:
    assert texts(recall, "sofa grey") == []
    code = """
import sys
from agentkit.memory import Recall
from agentkit.store.sqlite_store import SqliteStore
from tests.memory.words import WordEncoder
with SqliteStore.open(sys.argv[1]) as store:
    Recall(store.for_user("shop", "ada"), WordEncoder()).remember("my sofa is grey")
"""
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "agentkit.db")],
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert texts(recall, "sofa grey") == ["my sofa is grey"]


def test_vectors_of_another_encoder_wait_to_be_embedded_again(ada: UserStore) -> None:
    Recall(ada, WordEncoder("old", 32)).remember("my sofa is grey")
    ada.add_memory(NewMemory("fact", "I live in Leeds", "user", 0.5, "", None))
    recall = Recall(ada, WordEncoder("new"))
    assert texts(recall, "sofa grey") == []
    assert recall.stale() == 2
    assert recall.embed_again() == 2
    assert recall.stale() == 0
    assert texts(recall, "sofa grey") == ["my sofa is grey"]
    assert texts(recall, "Leeds") == ["I live in Leeds"]
    assert recall.embed_again() == 0


def test_a_query_vector_is_not_encoded_again(ada: UserStore) -> None:
    encoder = WordEncoder()
    recall = Recall(ada, encoder)
    recall.remember("my sofa is grey")
    vector = encoder.encode(["sofa"])[0]
    before = encoder.encoded
    recall.search(vector)
    assert encoder.encoded == before


def test_threads_can_search_while_others_remember(recall: Recall) -> None:
    problems: list[str] = []

    def remember() -> None:
        for number in range(20):
            recall.remember(f"memory number {number} of {threading.get_ident()}")

    def search() -> None:
        for _ in range(50):
            found = [each.memory_id for each in recall.search("memory number", 100, 0.1)]
            if len(found) != len(set(found)):
                problems.append("a memory was found twice")

    threads = [threading.Thread(target=work) for work in (remember, remember, search, search)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(recall.search("memory number", 100, 0.1)) == 40


def test_a_pool_keeps_the_users_with_few_memories(store: SqliteStore) -> None:
    pool = RecallPool(WordEncoder(), fewest=2, memories=100)
    recalls = [pool.for_user(store.for_user("shop", name)) for name in "abcd"]
    assert [pool.for_user(store.for_user("shop", name)) for name in "abcd"] == recalls


def test_a_pool_keeps_only_the_latest_users(store: SqliteStore) -> None:
    pool = RecallPool(WordEncoder(), fewest=2, memories=0)
    first = pool.for_user(store.for_user("shop", "a"))
    assert pool.for_user(store.for_user("shop", "a")) is first
    pool.for_user(store.for_user("shop", "b"))
    pool.for_user(store.for_user("shop", "a"))
    pool.for_user(store.for_user("shop", "c"))
    assert pool.for_user(store.for_user("shop", "a")) is first
    assert len(pool._recalls) == 2


@pytest.mark.parametrize("count", [0, 1, 7, 200])
def test_the_search_agrees_with_sorting_everything(ada: UserStore, count: int) -> None:
    numbers = numpy.random.default_rng(count)
    vectors = numbers.normal(size=(count + 1, 8)).astype(numpy.float32)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    turn = ada.begin_turn(ada.new_conversation(), user("hello there"))
    ada.commit_turn(
        turn.id,
        reply=assistant("hi"),
        events=(),
        memories=[
            NewMemory("fact", f"memory {number}", "user", 0.5, "words", vectors[number])
            for number in range(count)
        ],
        status="done",
    )
    recall = Recall(ada, WordEncoder(dimension=8))
    similarities = vectors[:count] @ vectors[count]
    best = [f"memory {row}" for row in numpy.argsort(-similarities) if similarities[row] >= 0]
    for limit in (1, 5, 1000):
        assert [found.text for found in recall.search(vectors[count], limit, 0.0)] == best[:limit]


def test_among_ten_thousand_memories_the_one_meant_is_found(ada: UserStore) -> None:
    numbers = numpy.random.default_rng(0)
    vectors = numbers.normal(size=(10_000, 384)).astype(numpy.float32)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    turn = ada.begin_turn(ada.new_conversation(), user("hello there"))
    ada.commit_turn(
        turn.id,
        reply=assistant("hi"),
        events=(),
        memories=[
            NewMemory("fact", f"memory {number}", "user", 0.5, "words", vector)
            for number, vector in enumerate(vectors)
        ],
        status="done",
    )
    recall = Recall(ada, WordEncoder(dimension=384))
    recall.search(vectors[0])  # reads the vectors
    for number, vector in enumerate(vectors[:100]):
        [found] = recall.search(vector, 5, 0.3)
        assert found.text == f"memory {number}"
        assert found.similarity == pytest.approx(1, abs=1e-4)
