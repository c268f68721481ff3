"""Messages are values: equal by content, closed, and the same after a trip through JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentkit.messages import (
    Assistant,
    Message,
    Part,
    System,
    ToolCall,
    ToolResult,
    User,
    assistant,
    dump_message,
    dump_messages,
    load_message,
    load_messages,
    system,
    text_of,
    tool_result,
    unanswered_calls,
    user,
    worst_trust,
)
from tests.value_strategies import values_of

CALL = ToolCall(id="call_1", name="track_parcel", arguments={"order_id": "1042"})

messages: st.SearchStrategy[Message] = st.one_of(
    values_of(System), values_of(User), values_of(Assistant), values_of(ToolResult)
)


@given(st.lists(messages, max_size=4).map(tuple))
def test_a_transcript_is_the_same_after_a_trip_through_json(transcript: tuple[Message, ...]) -> None:
    assert load_messages(dump_messages(transcript)) == transcript


@given(messages)
def test_a_message_is_the_same_after_a_trip_through_json(message: Message) -> None:
    assert load_message(dump_message(message)) == message


def test_messages_are_equal_by_value() -> None:
    assert user("hello") == user("hello")
    assert user("hello") != user("Hello")


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        user("hello").parts = ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"role": "user"}',
        '{"role": "developer", "parts": []}',
        '{"role": "user", "parts": [], "name": "Ada"}',
        '{"role": "user", "parts": [{"text": "hi", "trust": "root"}]}',
        '{"role": "user", "parts": [{"text": "hi"}]}',
        '{"role": "assistant", "calls": [{"id": "1", "name": "x", "arguments": []}]}',
        '{"role": "user", "parts": [{"text": "\\ud800", "trust": "user"}]}',
    ],
)
def test_anything_that_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        load_message(text)


def test_each_shorthand_sets_the_trust_of_its_speaker() -> None:
    said = (system("Be brief."), user("Hello"), assistant("Hi"), tool_result(CALL, "shipped"))
    assert [message.parts[0].trust for message in said] == ["system", "user", "system", "tool"]


def test_an_assistant_message_without_text_has_no_part() -> None:
    assert assistant(calls=[CALL]) == Assistant(parts=(), calls=(CALL,))


def test_a_result_belongs_to_its_call() -> None:
    result = tool_result(CALL, "on its way", status="ok", data={"state": "shipped"})
    assert (result.call_id, result.name, result.data) == ("call_1", "track_parcel", {"state": "shipped"})


def test_the_text_of_a_message_joins_its_parts() -> None:
    two = User(parts=(Part(text="first", trust="user"), Part(text="second", trust="untrusted")))
    assert text_of(two) == "first\nsecond"


@pytest.mark.parametrize(
    ("labels", "worst"),
    [
        ([], "system"),
        (["system", "user"], "user"),
        (["tool", "user"], "tool"),
        (["untrusted", "system"], "untrusted"),
    ],
)
def test_a_summary_inherits_the_worst_trust_of_its_sources(labels: list[str], worst: str) -> None:
    sources = [Part.model_validate({"text": "x", "trust": label}) for label in labels]
    assert worst_trust(sources) == worst


def test_a_call_without_a_result_is_found() -> None:
    second = CALL.model_copy(update={"id": "call_2"})
    transcript = (user("where is it?"), assistant(calls=[CALL, second]), tool_result(CALL, "shipped"))
    assert unanswered_calls(transcript) == (second,)
    assert unanswered_calls((*transcript, tool_result(second, "shipped"))) == ()
