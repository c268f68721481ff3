"""Two intents fit about equally well: which of them an answer names."""

from __future__ import annotations

import pytest

from agentkit.agent.route import chosen_intent
from agentkit.intents import Prediction

UNSURE = Prediction(None, 0.1, (("track_order", 0.1),), 0.1)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1", "track_order"),
        ("number 2 please", "cancel_order"),
        ("cancel it", "cancel_order"),
        ("I want to track my order", "track_order"),
        ("my order", None),
        ("both", None),
        ("the first of my 2 orders was never delivered to me", None),
    ],
)
def test_an_answer_names_an_intent_by_number_or_by_its_words(text: str, meant: str | None) -> None:
    assert chosen_intent(text, ("track_order", "cancel_order"), UNSURE) == meant


def test_an_answer_that_is_clear_by_itself_counts() -> None:
    sure = Prediction("cancel_order", 0.9, (("cancel_order", 0.9), ("track_order", 0.05)), 0.95)
    assert chosen_intent("get rid of that thing", ("track_order", "cancel_order"), sure) == "cancel_order"
