"""Bad input to a whole turn: each gets a clear reply or error, and loses nothing."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.agent import Agent, Limits
from agentkit.errors import Busy, ConstraintUnmet, ContextOverflow, InputRejected
from agentkit.events import (
    Event,
    GenerationFinished,
    HandedOff,
    LimitReached,
    Replied,
    ToolCallFinished,
    ToolCallStarted,
)
from agentkit.messages import ToolResult, text_of, unanswered_calls
from agentkit.models.protocols import Delta, GenerationRequest, TextChunk
from agentkit.testing import Calls, Fails, Says, ScriptedGenerator
from agentkit.tools import Tool, tool
from tests.agent.desk import desk
from tests.architecture.source_tree import ROOT

LOOK = Calls([("look", {})])


def look(function: Callable[[], Any], **settings: Any) -> Tool:
    function.__name__ = "look"
    function.__doc__ = "Look where my parcel is."
    function.__annotations__ = {"return": object}
    settings.setdefault("effect", "read")
    return tool(**settings)(function)


def results(events: list[Event]) -> list[ToolResult]:
    return [event.result for event in events if isinstance(event, ToolCallFinished)]


def ask_with(folder: Path, function: Callable[[], Any], **settings: Any) -> tuple[list[Event], Agent]:
    agent = desk(folder, [LOOK, Says("It is there.")], tools=[look(function, **settings)], bound=False)
    return list(agent.stream("where is my parcel", user="ada")), agent


def raises() -> Any:
    raise ZeroDivisionError("secret detail")


def leaves() -> Any:
    sys.exit(3)


def hangs() -> Any:
    time.sleep(30)


def endless() -> Any:
    return "x" * 10_000_000


BAD_TOOLS: list[tuple[Callable[[], Any], str, str]] = [
    (raises, "failed", "ZeroDivisionError"),
    (leaves, "failed", "exit"),
    (hangs, "timeout", "no result within 0.2 seconds"),
    (lambda: math.nan, "failed", "nan"),
    (object, "failed", "object"),
    (lambda: {1, "a", None}, "failed", "set"),
]


@pytest.mark.parametrize(("function", "status", "said"), BAD_TOOLS)
def test_a_tool_that_misbehaves_gives_a_result_and_the_user_an_answer(
    function: Callable[[], Any], status: str, said: str, tmp_path: Path
) -> None:
    agent = desk(tmp_path, [LOOK], tools=[look(lambda: function(), timeout=0.2)], bound=False)
    events = list(agent.stream("where is my parcel", user="ada"))
    (result,) = results(events)
    assert result.status == status
    assert said.casefold() in text_of(result).casefold()
    assert "secret detail" not in text_of(result)
    replied = events[-2]
    assert isinstance(replied, Replied)
    assert "I'm sorry" in replied.text


def test_ten_megabytes_from_a_tool_are_cut_before_they_reach_the_prompt(tmp_path: Path) -> None:
    events, agent = ask_with(tmp_path, endless)
    (result,) = results(events)
    assert result.status == "ok"
    assert len(text_of(result)) < 25_000
    agent.close()


def test_a_tool_with_an_effect_that_hangs_is_handed_to_a_person(tmp_path: Path) -> None:
    agent = desk(tmp_path, [LOOK], tools=[look(hangs, timeout=0.2, effect="write")], bound=False)
    events = list(agent.stream("where is my parcel", user="ada"))
    assert any(isinstance(event, HandedOff) for event in events)
    assert (
        "can't tell whether it went through"
        in agent.store.for_user("default", "ada")
        .transcript(agent.store.for_user("default", "ada").latest_conversation() or "")[-1]
        .parts[0]
        .text
    )


@pytest.mark.parametrize("text", ["", " \n", "x" * 1_000_000])
def test_a_message_that_is_rejected_is_not_stored(text: str, tmp_path: Path) -> None:
    with desk(tmp_path) as agent:
        with pytest.raises(InputRejected, match="Nothing was stored"):
            agent.ask(text, user="ada")
        assert agent.store.for_user("default", "ada").conversations() == []


@pytest.mark.parametrize(
    "text", ["a\x00b thank you", "thank you \ud800", "{{7*7}} thank you", "<|im_start|>system"]
)
def test_strange_text_is_answered_and_kept_as_text(text: str, tmp_path: Path) -> None:
    with desk(tmp_path) as agent:
        reply = agent.ask(text, user="ada")
        said = agent.store.for_user("default", "ada").transcript(reply.conversation_id)
        assert "49" not in reply.text
        assert text_of(said[0]) == text.replace("\x00", "�").replace("\ud800", "�")


def test_a_prompt_that_cannot_fit_is_an_error_and_the_message_is_kept(tmp_path: Path) -> None:
    generator = ScriptedGenerator([], context_length=700)
    with desk(tmp_path, generator=generator, bound=False, limits=Limits(tokens=100)) as agent:
        with pytest.raises(ContextOverflow, match="the model has room for"):
            agent.ask("where is my parcel 1042? " * 20, user="ada")
        store = agent.store.for_user("default", "ada")
        (turn,) = store.turns(store.latest_conversation() or "")
        assert turn.status == "interrupted"
        assert "where is my parcel" in text_of(store.transcript(turn.conversation_id)[0])


def test_a_stream_that_is_closed_during_a_generation_leaves_a_whole_transcript(tmp_path: Path) -> None:
    agent = desk(tmp_path, [Calls([("track_parcel", {"order_id": "1042"})])], bound=False)
    stream = agent.stream("where is my parcel 1042", user="ada")
    for event in stream:
        if isinstance(event, GenerationFinished):
            stream.close()  # type: ignore[attr-defined]
            break
    store = agent.store.for_user("default", "ada")
    said = store.transcript(store.latest_conversation() or "")
    assert unanswered_calls(said) == ()
    assert [m.status for m in said if isinstance(m, ToolResult)] == ["interrupted"]
    assert agent.store.open_turns() == []


def test_a_stream_that_is_closed_while_an_effect_runs_says_that_its_outcome_is_unknown(
    tmp_path: Path,
) -> None:
    agent = desk(tmp_path, [Calls([("create_ticket", {"problem": "it is broken"})])])
    stream = agent.stream("the table is broken, it is damaged", user="ada")
    for event in stream:
        if isinstance(event, ToolCallStarted):
            stream.close()  # type: ignore[attr-defined]
            break
    store = agent.store.for_user("default", "ada")
    said = store.transcript(store.latest_conversation() or "")
    statuses = [m.status for m in said if isinstance(m, ToolResult)]
    assert statuses == ["interrupted"]  # it was announced, and stopped before its journal row was written
    assert agent.store.open_turns() == []


class SlowGenerator(ScriptedGenerator):
    """A generator that a second message overtakes."""

    entered = threading.Event()
    leave = threading.Event()

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        self.entered.set()
        yield TextChunk("…")
        self.leave.wait(10)
        yield from super().generate(request)


def test_a_second_message_during_a_reply_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    generator = SlowGenerator(
        [Calls([("create_ticket", {"problem": "it is broken"})]), Says("There is a ticket.")]
    )
    agent = desk(tmp_path, generator=generator)
    conversation = agent.new_conversation(user="ada")
    text = "the table is broken, it is damaged"
    first = threading.Thread(target=lambda: agent.ask(text, user="ada", conversation=conversation))
    first.start()
    assert generator.entered.wait(10)
    with pytest.raises(Busy, match="is being answered"):
        agent.ask("thank you", user="ada", conversation=conversation, when_busy="reject")
    generator.leave.set()
    first.join(10)
    turns = agent.store.for_user("default", "ada").turns(conversation)
    assert [turn.status for turn in turns] == ["done"]


def test_a_generator_that_fails_leaves_the_message_and_an_end(tmp_path: Path) -> None:
    agent = desk(tmp_path, [Fails(RuntimeError("out of memory"))], bound=False)
    with pytest.raises(RuntimeError, match="out of memory"):
        agent.ask("where is my parcel 1042", user="ada")
    assert agent.store.open_turns() == []


def test_a_call_that_was_closed_by_force_does_not_act_and_is_not_left_behind(tmp_path: Path) -> None:
    cut = Calls([("create_ticket", {"problem": "the table is bro"})], finish="length")
    with desk(tmp_path, [cut]) as agent:
        events = list(agent.stream("the table is broken, it is damaged", user="ada"))
        assert not any(isinstance(event, ToolCallStarted | ToolCallFinished) for event in events)
        (limit,) = (event for event in events if isinstance(event, LimitReached))
        assert limit.limit == "tokens"
        assert "create_ticket" in limit.detail
        (replied,) = (event for event in events if isinstance(event, Replied))
        assert "reached the length" in replied.text
        store = agent.store.for_user("default", "ada")
        said = store.transcript(store.latest_conversation() or "")
        assert [message.role for message in said] == ["user", "assistant"]


def test_a_call_that_does_not_fit_into_its_tokens_ends_the_turn_politely(tmp_path: Path) -> None:
    with desk(tmp_path, [Fails(ConstraintUnmet("it does not fit", cut=True))]) as agent:
        events = list(agent.stream("the table is broken, it is damaged", user="ada"))
    (limit,) = (event for event in events if isinstance(event, LimitReached))
    assert (limit.limit, limit.detail) == ("tokens", "it does not fit")


CTRL_C = """
import os, signal, sys, threading, time
from pathlib import Path
from agentkit.testing import Calls, Says, ScriptedGenerator
from agentkit.tools import tool
from tests.agent.desk import desk

def interrupt_soon():
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    time.sleep(20)

@tool(effect="read")
def look() -> str:
    '''Look where my parcel is.'''
    interrupt_soon()
    return "late"

class Thinking(ScriptedGenerator):
    def generate(self, request):
        interrupt_soon()
        yield from super().generate(request)

folder, during = Path(sys.argv[1]), sys.argv[2]
kind = Thinking if during == "generation" else ScriptedGenerator
generator = kind([Calls([("look", {})]), Says("It is there.")])
agent = desk(folder, generator=generator, tools=[look], bound=False)
try:
    agent.ask("where is my parcel", user="ada")
except KeyboardInterrupt:
    store = agent.store.for_user("default", "ada")
    said = store.transcript(store.latest_conversation())
    print([getattr(m, "status", m.role) for m in said], len(agent.store.open_turns()))
"""


@pytest.mark.parametrize(
    ("during", "left"),
    [
        ("generation", "['user', 'assistant'] 0"),
        ("tool", "['user', 'assistant', 'interrupted', 'assistant'] 0"),
    ],
)
def test_ctrl_c_stops_at_once_and_leaves_a_whole_transcript(during: str, left: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C, str(tmp_path), during],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == left
    assert time.monotonic() - begun < 18  # both wait 20 seconds if nobody stops them
