"""A conversation goes to a person and comes back: what the customer hears, what is stored, and who may write."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from agentkit.agent import Agent, Settings
from agentkit.agent.hours import DeskSettings
from agentkit.agent.person_calls import CallToAgree
from agentkit.errors import Busy, InputRejected, LeaseLost, RecordNotFound, TurnConflict
from agentkit.events import (
    CallChecked,
    CallRefused,
    HandOffQueued,
    PassedOn,
    PersonAnswered,
    ToolCallFinished,
)
from agentkit.messages import Assistant, ToolCall, text_of
from agentkit.store.hand_off_records import HandOffRecord
from agentkit.testing import ScriptedGenerator
from tests.agent.desk import BINDINGS, ENCODER, TOOLS, intents

OPEN: Final = DeskSettings(team="our team", answers_within="ten minutes", urgent=("broken",))
NIGHT: Final = DeskSettings(team="our team", time_zone="Europe/Berlin", hours={"mon-fri": ("09:00-18:00",)})
THURSDAY_EVENING: Final = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)


def office(folder: Path, settings: DeskSettings | None = OPEN, now: datetime = THURSDAY_EVENING) -> Agent:
    return Agent(
        generator=ScriptedGenerator([]),
        encoder=ENCODER,
        tools=TOOLS,
        database=folder / "agent.db",
        intents=intents(),
        bindings=BINDINGS,
        settings=Settings(instructions="You are a shop.", desk=settings),
        now=lambda: now,
    )


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """An agent of a shop whose desk is always open."""
    with office(tmp_path) as opened:
        yield opened


def handed_over(agent: Agent) -> HandOffRecord:
    agent.ask("I want to talk to a human", user="ada")
    return agent.hand_offs.find("ada")


def _must_not_be_asked(call: CallToAgree) -> bool:
    raise AssertionError(f"nobody has to agree to {call}")


def said(agent: Agent, record: HandOffRecord) -> list[str]:
    return [f"{line.speaker}: {line.text}" for line in agent.hand_offs.transcript(record)]


def test_a_hand_off_says_who_answers_and_is_in_the_queue_when_the_customer_hears_it(agent: Agent) -> None:
    events = list(agent.stream("I want to talk to a human", user="ada", profile={"name": "Ada"}))
    (queued,) = [event for event in events if isinstance(event, HandOffQueued)]
    (record,) = agent.hand_offs.queue()
    assert record.id == queued.hand_off_id
    assert (record.reason, record.status, record.profile) == ("person", "waiting", {"name": "Ada"})
    assert "Our team will answer you here, usually within ten minutes." in said(agent, record)[-1]
    assert record.summary == "Asked: I want to talk to a human"


def test_while_a_person_is_waited_for_the_bot_is_silent_and_says_once_who_answers(agent: Agent) -> None:
    record = handed_over(agent)
    first = agent.ask("where is my order 1042", user="ada")
    second = agent.ask("hello?", user="ada")
    assert (first.waits, first.turn_id) == (True, "")
    assert "Our team will answer you here" in first.text
    assert second.text == ""
    agent.hand_offs.take(record, by="Anna")
    assert agent.ask("are you there?", user="ada").text == (
        "Thank you, I have passed that on: Anna answers you here."
    )
    assert agent.ask("I wait", user="ada").text == ""
    assert said(agent, record)[-4:] == [
        "ada: where is my order 1042",
        "ada: hello?",
        "ada: are you there?",
        "ada: I wait",
    ]


def test_an_answer_reaches_the_transcript_with_its_name_and_a_message_sent_again_hears_it(
    agent: Agent,
) -> None:
    taken = agent.hand_offs.take(handed_over(agent), by="Anna")
    agent.ask("where is my parcel", user="ada", client_msg_id="m1")
    agent.hand_offs.answer(taken, "It is in Porto.")
    agent.hand_offs.answer(taken, "It arrives on Friday.")
    assert said(agent, taken)[-3:] == [
        "ada: where is my parcel",
        "Anna: It is in Porto.",
        "Anna: It arrives on Friday.",
    ]
    again = agent.ask("where is my parcel", user="ada", client_msg_id="m1")
    assert (again.text, again.by, again.source) == ("It is in Porto.", "Anna", "person")


def test_an_answer_that_is_sent_again_is_said_once(agent: Agent) -> None:
    taken = agent.hand_offs.take(handed_over(agent), by="Anna")
    assert agent.hand_offs.answer(taken, "Hello!", client_msg_id="a1") is not None
    assert agent.hand_offs.answer(taken, "Hello!", client_msg_id="a1") is None
    assert said(agent, taken).count("Anna: Hello!") == 1


def test_given_back_the_bot_answers_what_was_left_and_the_note_stays_inside(agent: Agent) -> None:
    taken = agent.hand_offs.take(handed_over(agent), by="Anna")
    agent.hand_offs.answer(taken, "Done.")
    agent.ask("thanks a lot", user="ada")
    agent.hand_offs.give_back(taken, note="voucher agreed")
    (reply,) = agent.resume()
    assert reply.text.startswith("You are welcome")
    words = said(agent, taken)
    assert "bot: Anna has handed you back to me. What else can I do for you?" in words
    assert not any("voucher" in line for line in words)
    record = agent.hand_offs.again(taken)
    assert (record.status, record.note, record.person) == ("given_back", "voucher agreed", "Anna")
    assert agent.hand_offs.queue() == []


def test_without_a_desk_the_hand_off_is_listed_and_the_bot_goes_on(tmp_path: Path) -> None:
    with office(tmp_path, None) as agent:
        reply = agent.ask("I want to talk to a human", user="ada")
        assert "get back to you" in reply.text
        assert len(agent.hand_offs.queue()) == 1
        assert agent.ask("thanks a lot", user="ada").text.startswith("You are welcome")


def test_outside_the_hours_the_customer_hears_when_somebody_is_there_and_may_be_called(
    tmp_path: Path,
) -> None:
    with office(tmp_path, NIGHT) as agent:
        reply = agent.ask("I want to talk to a human", user="ada")
        assert "our team will be back tomorrow at 09:00" in reply.text
        assert "phone number" in reply.text
        asked = agent.ask("please call me on 0151 / 234 56 78", user="ada")
        assert asked.text == "Thank you, 0151 / 234 56 78. When is a good time to call you?"
        noted = agent.ask("after five would be good", user="ada")
        assert (
            noted.text == "Thank you. Our team will call you on 0151 / 234 56 78 (after five would be good)."
        )
        (record,) = agent.hand_offs.queue()
        assert record.callback is not None
        assert (record.callback.phone, record.callback.when) == (
            "0151 / 234 56 78",
            "after five would be good",
        )
        assert agent.ask("thanks a lot", user="ada").text.startswith("You are welcome")


def test_who_does_not_want_to_be_called_goes_on_with_the_bot(tmp_path: Path) -> None:
    with office(tmp_path, NIGHT) as agent:
        agent.ask("I want to talk to a human", user="ada")
        assert agent.ask("thanks a lot", user="ada").text.startswith("You are welcome")
        (record,) = agent.hand_offs.queue()
        assert record.callback is None
        agent.hand_offs.take(record, by="Anna")  # somebody came early
        assert agent.ask("thanks a lot", user="ada").waits


def test_a_colleague_is_refused_and_one_who_lost_it_writes_nothing(agent: Agent) -> None:
    record = handed_over(agent)
    anna = agent.hand_offs.take(record, by="Anna")
    with pytest.raises(Busy, match="Anna has hand-off"):
        agent.hand_offs.take(record, by="Bob")
    bob = agent.hand_offs.take(record, by="Bob", from_others=True)
    with pytest.raises(LeaseLost, match="with Bob now"):
        agent.hand_offs.answer(anna, "I was first")
    agent.hand_offs.answer(bob, "Hello.")
    assert said(agent, record)[-1] == "Bob: Hello."


def test_a_customer_who_goes_back_to_the_bot_is_answered_and_the_person_hears_of_it(agent: Agent) -> None:
    taken = agent.hand_offs.take(handed_over(agent), by="Anna")
    agent.ask("thanks a lot", user="ada")
    assert agent.hand_offs.withdraw("ada", taken.conversation_id) is not None
    assert [reply.text.split(",")[0] for reply in agent.resume()] == ["You are welcome"]
    with pytest.raises(TurnConflict, match="withdrawn"):
        agent.hand_offs.answer(taken, "Hello?")


def test_a_customer_who_is_erased_leaves_nothing_to_write_to(agent: Agent) -> None:
    taken = agent.hand_offs.take(handed_over(agent), by="Anna")
    agent.store.for_user("default", "ada").erase()
    with pytest.raises(RecordNotFound):
        agent.hand_offs.answer(taken, "Hello?")
    assert agent.hand_offs.queue() == []


@pytest.mark.parametrize("text", ["", "   ", "x" * 20_001])
def test_nothing_and_too_much_are_no_answers(agent: Agent, text: str) -> None:
    taken = agent.hand_offs.take(handed_over(agent), by="Anna")
    with pytest.raises(InputRejected):
        agent.hand_offs.answer(taken, text)


def test_a_person_looks_something_up_as_that_customer(agent: Agent) -> None:
    taken = agent.hand_offs.take(handed_over(agent), by="Anna")
    call = ToolCall(id="", name="track_parcel", arguments={"order_id": "1042"})
    events = list(agent.call_as_person(taken, call, _must_not_be_asked))
    (finished,) = [event for event in events if isinstance(event, ToolCallFinished)]
    assert finished.status == "ok"
    assert any(isinstance(event, PersonAnswered) for event in events)
    made, result = agent.store.for_user("default", "ada").transcript(taken.conversation_id)[-2:]
    assert isinstance(made, Assistant)
    assert (made.by, text_of(result)) == ("Anna", text_of(finished.result))


@pytest.mark.parametrize("agrees", [True, False])
def test_a_call_with_an_effect_runs_only_when_the_person_confirms_it(agent: Agent, agrees: bool) -> None:
    taken = agent.hand_offs.take(handed_over(agent), by="Anna")
    asked: list[CallToAgree] = []

    def agree(call: CallToAgree) -> bool:
        asked.append(call)
        return agrees

    arguments = {"order_id": "1042", "reason": "too_late"}
    call = ToolCall(id="", name="cancel_order", arguments=dict(arguments))
    events = list(agent.call_as_person(taken, call, agree))
    (checked,) = [event for event in events if isinstance(event, CallChecked)]
    assert [(each.call.arguments, each.effect) for each in asked] == [(arguments, "write")]
    assert checked.reasons == ()
    assert any(isinstance(event, ToolCallFinished) for event in events) == agrees
    assert any(isinstance(event, CallRefused) for event in events) != agrees
    journal = [
        row.status
        for turn in agent.store.for_user("default", "ada").turns(taken.conversation_id)
        for row in agent.store.for_user("default", "ada").journal(turn.id)
    ]
    assert journal == ["finished"]


def test_wrong_arguments_and_unknown_tools_run_nothing_and_the_conversation_goes_on(agent: Agent) -> None:
    taken = agent.hand_offs.take(handed_over(agent), by="Anna")
    wrong = ToolCall(id="", name="cancel_order", arguments={"order": "1042"})
    events = list(agent.call_as_person(taken, wrong, lambda call: True))
    assert [event.rule for event in events if isinstance(event, CallRefused)] == ["schema"]
    with pytest.raises(RecordNotFound, match="no tool 'fly'"):
        list(agent.call_as_person(taken, ToolCall(id="", name="fly"), lambda call: True))
    agent.hand_offs.answer(taken, "Let me see.")
    assert said(agent, taken)[-1] == "Anna: Let me see."


def test_what_the_settings_call_urgent_comes_first(tmp_path: Path) -> None:
    urgent = OPEN.model_copy(update={"urgent": ("person",)})
    with office(tmp_path) as calm, office(tmp_path, urgent) as strict:
        calm.ask("I want to talk to a human", user="ada")
        strict.ask("I want to talk to a human", user="ben")
        assert [each.user for each in calm.hand_offs.queue()] == ["ben", "ada"]


@pytest.mark.parametrize(
    ("word", "first"), [("person", True), ("PERSON", True), ("pers", False), ("son", False)]
)
def test_only_whole_words_make_a_reason_urgent(word: str, first: bool, tmp_path: Path) -> None:
    with office(tmp_path, OPEN.model_copy(update={"urgent": (word,)})) as bot:
        bot.ask("I want to talk to a human", user="ada")
        (waiting,) = bot.hand_offs.queue()
        assert (waiting.priority > 0) is first, waiting.reason


def test_the_stream_of_a_message_that_waits_ends_with_where_it_waits(agent: Agent) -> None:
    record = handed_over(agent)
    events = list(agent.stream("hello?", user="ada"))
    assert isinstance(events[-1], PassedOn)
    assert events[-1].hand_off_id == record.id
