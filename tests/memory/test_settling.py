"""New facts beside known ones: the newer takes the place of the older, which stays as history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.memory import Recall, memories_of
from agentkit.messages import TrustLabel, assistant, user
from agentkit.models import load_encoder
from agentkit.store.protocol import UserStore
from agentkit.store.sqlite_store import SqliteStore
from tests.memory.words import WordEncoder


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[UserStore]:
    with SqliteStore.open(tmp_path / "agentkit.db") as store:
        yield store.for_user("shop", "ada")


@pytest.fixture
def recall(ada: UserStore) -> Recall:
    return Recall(ada, WordEncoder())


def facts(ada: UserStore) -> list[str]:
    return [record.text for record in ada.memories("fact")]


def test_a_contradiction_keeps_the_newer_fact_and_the_history(ada: UserStore, recall: Recall) -> None:
    old = recall.remember("I live in Leeds")
    recall.remember("I have two cats")
    new = recall.remember("I live in York now")
    assert facts(ada) == ["I have two cats", "I live in York now"]
    [found] = recall.search("where I live", min_similarity=0.4)
    assert found.memory_id == new
    [record] = ada.memory([old])
    assert (record.replaced_by, record.about) == (new, "home")


def test_what_was_denied_is_not_recalled(ada: UserStore, recall: Recall) -> None:
    recall.remember("I have a car")
    recall.remember("I don't have a car any more")
    assert [found.text for found in recall.search("have a car")] == ["I don't have a car any more"]


def test_the_same_said_again_is_one_fact_with_the_newer_time(ada: UserStore, recall: Recall) -> None:
    first = recall.remember("I am allergic to wool")
    second = recall.remember("I am allergic to wool!")
    assert [record.id for record in ada.memories()] == [second]
    assert [record.id for record in ada.memories(replaced=True)] == [first, second]


@pytest.mark.parametrize("worse", ["tool", "untrusted"])
def test_a_less_trusted_source_never_replaces_what_the_user_said(
    ada: UserStore, recall: Recall, worse: TrustLabel
) -> None:
    said = recall.remember("I live in Leeds")
    assert recall.remember("I live in Leeds.", trust=worse) == said  # known already
    recall.remember("I live in Paris", trust=worse)
    assert facts(ada) == ["I live in Leeds", "I live in Paris"]
    recall.remember("I live in York")
    assert facts(ada) == ["I live in York"]


def test_facts_about_different_things_stand_side_by_side(ada: UserStore, recall: Recall) -> None:
    said = ["my order is 1042", "my order is 1043", "I bought the oak table", "I bought the oak chair"]
    for text in said:
        recall.remember(text)
    assert facts(ada) == said


def test_the_facts_of_a_turn_are_settled_and_committed_together(ada: UserStore, recall: Recall) -> None:
    for text in ("Hello, I live in Leeds. Where is my order?", "By the way, we moved to York last week."):
        turn = ada.begin_turn(ada.new_conversation(), user(text))
        memories = recall.settle(memories_of(user(text), WordEncoder()))
        ada.commit_turn(turn.id, reply=assistant("Noted."), events=(), memories=memories, status="done")
    assert facts(ada) == ["we moved to York last week."]
    assert len(ada.memories("message")) == 2
    [old] = [record for record in ada.memories(replaced=True) if record.replaced_by]
    assert old.text.startswith("I live in Leeds")
    assert old.turn_id is not None


@pytest.mark.weights
def test_other_words_for_the_same_are_noticed_by_meaning(ada: UserStore) -> None:
    encoder = load_encoder("minilm-l6")
    recall = Recall(ada, encoder)
    for text in (
        "I am allergic to wool",
        "Please note that I'm allergic to wool",
        "I can't carry heavy things",
        "I am not able to carry heavy things",
        "I like red wine",
        "I like white wine",
    ):
        recall.remember(text)
    encoder.close()
    assert facts(ada) == [
        "Please note that I'm allergic to wool",
        "I am not able to carry heavy things",
        "I like red wine",
        "I like white wine",
    ]
