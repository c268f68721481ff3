"""The desk's conversations: stable beginnings, turns of equal length, and calls that fit their schemas."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from agentkit.messages import Assistant, Message, dump_messages, text_of, unanswered_calls
from agentkit.models.bench.desk import load_desk
from agentkit.models.dialects import written
from agentkit.models.dialects.hermes import HermesDialect
from agentkit.models.schema_check import violations

DESK = load_desk()


def rendered(messages: list[Message]) -> str:
    return written(HermesDialect().render(messages, DESK.tools))


def test_there_are_eight_tools() -> None:
    assert len({tool.name for tool in DESK.tools}) == 8


def test_every_scripted_call_fits_its_tool() -> None:
    parameters = {tool.name: tool.parameters for tool in DESK.tools}
    history = DESK.history(len(DESK.turns))
    calls = [call for message in history if isinstance(message, Assistant) for call in message.calls]
    assert calls
    for call in calls:
        assert not list(violations(call.arguments, parameters[call.name]))


def test_every_call_of_a_history_has_its_result() -> None:
    assert not unanswered_calls(DESK.history(9))


def test_a_longer_history_begins_with_the_shorter_one() -> None:
    assert DESK.history(5)[: len(DESK.history(4))] == DESK.history(4)


def test_the_question_comes_after_the_history() -> None:
    history = DESK.history(3)
    assert list(DESK.call(history, 7).messages)[:-1] == history


def test_the_reply_goes_on_from_the_call() -> None:
    call, reply = (made(DESK.history(3), 7) for made in (DESK.call, DESK.reply))
    assert list(reply.messages)[: len(call.messages)] == list(call.messages)


def test_other_conversations_share_the_system_message_and_the_tools_only() -> None:
    assert DESK.history(1, number=1)[0] == DESK.history(1, number=2)[0]
    assert DESK.history(1, number=1)[1] != DESK.history(1, number=2)[1]


def test_the_thousand_questions_of_a_row_are_all_different() -> None:
    asked = {text_of(DESK.call([], number).messages[-1]) for number in range(1024)}
    assert len(asked) == 1024


def test_the_turns_of_a_growing_conversation_are_equally_long() -> None:
    lengths = [len(rendered(list(call.messages))) for call, _ in islice(DESK.growing(), 52)]
    steps = [later - earlier for earlier, later in pairwise(lengths)]
    assert len(set(steps[:12])) == 1
    assert {step for step in steps if step > 0} == set(steps[:12])
    assert len([step for step in steps if step < 0]) == 5  # the window moves every eight turns


@pytest.mark.parametrize("characters", [100, 2370])
def test_filler_has_the_length_asked_for_and_begins_differently_for_each_number(characters: int) -> None:
    texts = [text_of(DESK.story_after(characters, number, 1).messages[0]) for number in range(3)]
    assert {len(text) for text in texts} == {characters}
    assert len({text[:30] for text in texts}) == 3


def test_the_requests_are_the_same_in_every_process() -> None:
    # Peers are asked the same only if nothing depends on the time or on chance.
    assert dump_messages(DESK.history(4)) == dump_messages(load_desk.__wrapped__().history(4))
