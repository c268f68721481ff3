from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.agent.window import fit
from agentkit.errors import ContextOverflow
from agentkit.messages import (
    Message,
    ToolCall,
    ToolResult,
    assistant,
    split_turns,
    system,
    text_of,
    tool_result,
    turns_in_window,
    unanswered_calls,
    user,
)

SYSTEM = system("You are a shop.")


def count(messages: Sequence[Message]) -> int:
    return sum(len(text_of(m)) + 10 for m in messages)


def turn(number: int, result: str = "found") -> list[Message]:
    call = ToolCall(id=f"c{number}", name="look", arguments={"n": number})
    return [
        user(f"question {number}"),
        assistant(calls=(call,)),
        tool_result(call, result),
        assistant("answer"),
    ]


def test_everything_is_kept_while_it_fits() -> None:
    history = [*turn(1), *turn(2)]
    assert fit(SYSTEM, history, [user("now")], budget=10_000, count=count) == (SYSTEM, *history, user("now"))


def test_older_turns_are_dropped_whole_and_oldest_first() -> None:
    history = [*turn(1), *turn(2), *turn(3)]
    kept = fit(
        SYSTEM, history, [user("now")], budget=count([SYSTEM, *turn(2), *turn(3), user("now")]), count=count
    )
    assert kept == (SYSTEM, *turn(2), *turn(3), user("now"))


def test_a_long_result_of_the_current_turn_is_shortened_before_anything_fails() -> None:
    current = turn(1, result="x" * 5_000)
    kept = fit(SYSTEM, [], current, budget=1_000, count=count)
    assert [m.role for m in kept] == ["system", "user", "assistant", "tool", "assistant"]
    assert "characters left out]" in text_of(kept[3])
    assert count(kept) <= 1_000


def test_a_message_that_cannot_fit_is_an_error_that_says_how_much_is_too_much() -> None:
    with pytest.raises(ContextOverflow, match="need 1035 tokens; the model has room for 500"):
        fit(SYSTEM, turn(1), [user("x" * 1_000)], budget=500, count=count)


@given(turns=st.integers(0, 6), long=st.integers(0, 2_000), budget=st.integers(600, 3_000))
def test_a_call_is_never_separated_from_its_result_and_the_ends_are_never_dropped(
    turns: int, long: int, budget: int
) -> None:
    history = [message for number in range(turns) for message in turn(number)]
    current = turn(99, result="r" * long)
    kept = fit(SYSTEM, history, current, budget=budget, count=count)
    assert kept[0] == SYSTEM
    assert user("question 99") in kept
    assert unanswered_calls(kept) == ()
    calls = {c.id for m in kept if m.role == "assistant" for c in m.calls}
    assert {m.call_id for m in kept if isinstance(m, ToolResult)} == calls


def test_a_transcript_is_cut_before_every_user_message() -> None:
    assert [len(each) for each in split_turns([*turn(1), *turn(2)])] == [4, 4]


def test_a_window_of_turns_begins_at_the_same_turn_for_many_turns() -> None:
    starts = [earlier - turns_in_window(earlier, 12) for earlier in range(60)]
    assert all(turns_in_window(earlier, 12) <= 12 for earlier in range(60))
    assert all(turns_in_window(earlier, 12) >= 4 for earlier in range(4, 60))
    assert starts == sorted(starts)
    assert len(set(starts)) == 7  # 0, and then one move in eight turns
    assert [turns_in_window(earlier, 0) for earlier in range(3)] == [0, 0, 0]
    assert [turns_in_window(earlier, 1) for earlier in range(3)] == [0, 1, 1]


def test_a_budget_of_tokens_moves_the_window_by_several_turns() -> None:
    history = [message for number in range(30) for message in turn(number)]
    begins = []
    for turns in range(1, 31):
        kept = fit(SYSTEM, history[: 4 * turns], [user("now")], budget=800, count=count)
        begins.append(text_of(kept[1]))
    assert len(set(begins)) <= 8
    assert begins[-1] == "question 20"


def test_the_window_does_not_depend_on_how_much_history_was_read() -> None:
    history = [message for number in range(30) for message in turn(number)]
    for left_out in range(0, 18):
        kept = fit(SYSTEM, history[4 * left_out :], [user("now")], budget=800, count=count, first=left_out)
        assert text_of(kept[1]) == "question 20"
