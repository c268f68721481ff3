"""The tool as a model meets it: raw arguments, its effect, a conversation, the scenario of its bot."""

from pathlib import Path

import pytest

from agentkit import text_of
from agentkit.testing import Calls, Conversation, ToolHarness, play_scenario
from my_tool.tools import my_tool

HARNESS = ToolHarness(my_tool)
BOT = Path(__file__).parent.parent / "bot"


def test_the_words_are_counted() -> None:
    assert HARNESS.call({"text": "To be or not to be"}).data == {"words": 6, "seconds": 2}
    assert HARNESS.call({"text": "one two", "words_per_minute": 60}).data == {"words": 2, "seconds": 2}


@pytest.mark.parametrize("arguments", [{}, {"text": 5}, {"text": " "}, {"text": "x", "words_per_minute": 1}])
def test_wrong_arguments_are_sent_back_to_the_model(arguments: dict[str, object]) -> None:
    result = HARNESS.call(arguments)
    assert result.status == "retry"
    assert "text" in text_of(result) or "words_per_minute" in text_of(result)


def test_a_model_can_be_held_to_the_schema() -> None:
    HARNESS.check_schema()


def test_the_tool_only_looks() -> None:
    HARNESS.check_effect({"text": "To be or not to be"})


def test_a_bot_answers_with_the_tool() -> None:
    steps = [Calls([("my_tool", {"text": "To be or not to be"})])]
    with Conversation([my_tool], steps, replies=BOT / "replies") as conversation:
        reply = conversation.say("How long does it take to read: To be or not to be?")
    assert reply.text == "That is 6 words, read in 2 seconds."


def test_the_scenario_goes_as_it_says() -> None:
    # `agentkit demo bot` plays the same on real models.
    play_scenario(BOT, "demo", [Calls([("my_tool", {"text": "To be or not to be"})])])
