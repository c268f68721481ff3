"""Recall with the real encoder: other words, same meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.memory import Recall, memories_of
from agentkit.messages import assistant, user
from agentkit.models import load_encoder
from agentkit.store.sqlite_store import SqliteStore

pytestmark = pytest.mark.weights


def test_what_was_said_is_found_by_its_meaning_in_another_conversation(tmp_path: Path) -> None:
    encoder = load_encoder("minilm-l6")
    said = (
        "Hello, I live on the third floor without a lift.",
        "My sofa is the grey one. Where is my order 1042?",
        "I'm allergic to wool",
        "I bought the oak table two weeks ago",
        "We have two cats",
    )
    asked = {
        "Can you bring it up the stairs?": "I live on the third floor without a lift.",
        "Which colour is my sofa?": "My sofa is the grey one.",
        "What should I avoid in a rug?": "I'm allergic to wool",
        "Which table did I buy?": "I bought the oak table two weeks ago",
        "Do I have pets?": "We have two cats",
        "What is the weather like?": None,
        "Do you sell gift cards?": None,
    }
    with SqliteStore.open(tmp_path / "agentkit.db") as store:
        ada = store.for_user("shop", "ada")
        for text in said:
            turn = ada.begin_turn(ada.new_conversation(), user(text))
            memories = memories_of(user(text), encoder)
            ada.commit_turn(turn.id, reply=assistant("Noted."), events=(), memories=memories, status="done")
        recall = Recall(ada, encoder)
        found = {question: recall.search(question, 1, 0.3) for question in asked}
    encoder.close()
    assert {question: hits[0].text if hits else None for question, hits in found.items()} == asked
