"""Several messages for one conversation: in order, once each, whoever answers them."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentkit.agent import Agent, Limits, Reply, Settings
from agentkit.errors import Busy, InputRejected
from agentkit.events import Event, Interrupted, Replied
from agentkit.messages import User, text_of
from agentkit.models.protocols import Delta, Finished, GenerationRequest, TextChunk
from agentkit.store.protocol import JournalRow
from agentkit.testing import Calls, HashingEncoder, InMemoryStore, Says, ScriptedGenerator, ScriptStep
from agentkit.tools import Tool, tool
from tests.agent.desk import desk
from tests.store.samples import CALL, open_store, turn_with_started_call

THANKS = "thank you"
BROKEN = "the table is broken, it is damaged"


class WaitingGenerator(ScriptedGenerator):
    """Writes nothing until it is let go, or told to stop."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.entered, self.leave = threading.Event(), threading.Event()

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        self.entered.set()
        while not self.leave.wait(0.01):
            yield TextChunk("…")
            if request.cancel is not None and request.cancel.is_set():
                for delta in super().generate(request):
                    if isinstance(delta, Finished):
                        yield delta
                return
        yield from super().generate(request)


def waiting_desk(folder: Path, **settings: int) -> tuple[Agent, WaitingGenerator, str]:
    script: list[ScriptStep] = [
        Calls([("create_ticket", {"problem": "it is broken"})]),
        Says("There is a ticket."),
    ]
    generator = WaitingGenerator(script)
    agent = desk(folder, generator=generator, limits=Limits(**settings))
    return agent, generator, agent.new_conversation(user="ada")


def in_thread(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def said(agent: Agent, conversation: str) -> list[str]:
    transcript = agent.store.for_user("default", "ada").transcript(conversation)
    return [text_of(message) for message in transcript if isinstance(message, User)]


def test_messages_that_come_during_a_reply_are_answered_in_their_order(tmp_path: Path) -> None:
    agent, generator, conversation = waiting_desk(tmp_path)
    replies: dict[str, Reply] = {}

    def ask(text: str) -> None:
        replies[text] = agent.ask(text, user="ada", conversation=conversation)

    threads = [in_thread(lambda: ask(BROKEN))]
    assert generator.entered.wait(10)
    store = agent.store.for_user("default", "ada")
    for number in range(1, 4):
        threads.append(in_thread(lambda number=number: ask(f"thank you {number}")))  # type: ignore[misc]
        while len(store.waiting(conversation)) < number:
            time.sleep(0.005)
    generator.leave.set()
    for thread in threads:
        thread.join(20)
    assert said(agent, conversation) == [BROKEN, "thank you 1", "thank you 2", "thank you 3"]
    assert all("welcome" in replies[f"thank you {number}"].text for number in (1, 2, 3))


def test_messages_that_may_be_merged_are_answered_together(tmp_path: Path) -> None:
    agent, generator, conversation = waiting_desk(tmp_path)
    replies: list[Reply] = []
    threads = [in_thread(lambda: agent.ask(BROKEN, user="ada", conversation=conversation))]
    assert generator.entered.wait(10)
    store = agent.store.for_user("default", "ada")
    for number in (1, 2):
        text = f"thank you {number}"
        threads.append(
            in_thread(
                lambda text=text: replies.append(  # type: ignore[misc]
                    agent.ask(text, user="ada", conversation=conversation, when_busy="merge")
                )
            )
        )
        while len(store.waiting(conversation)) < number:
            time.sleep(0.005)
    generator.leave.set()
    for thread in threads:
        thread.join(20)
    assert said(agent, conversation) == [BROKEN, "thank you 1\nthank you 2"]
    assert len({reply.turn_id for reply in replies}) == 1
    assert len(replies) == 2


def test_an_interrupting_message_stops_the_running_turn(tmp_path: Path) -> None:
    agent, generator, conversation = waiting_desk(tmp_path)
    events: list[Event] = []
    stream = agent.stream(BROKEN, user="ada", conversation=conversation)
    thread = in_thread(lambda: events.extend(stream))
    assert generator.entered.wait(10)
    reply = agent.ask(THANKS, user="ada", conversation=conversation, when_busy="interrupt")
    thread.join(20)
    assert "welcome" in reply.text
    assert [event.reason for event in events if isinstance(event, Interrupted)] == ["newer message"]
    (replied,) = (event for event in events if isinstance(event, Replied))
    assert replied.source == "interrupted"
    turns = agent.store.for_user("default", "ada").turns(conversation)
    assert [turn.status for turn in turns] == ["interrupted", "done"]


def test_an_interrupting_message_reaches_a_turn_of_another_process(tmp_path: Path) -> None:
    agent, generator, conversation = waiting_desk(tmp_path)
    thread = in_thread(lambda: agent.ask(BROKEN, user="ada", conversation=conversation))
    assert generator.entered.wait(10)
    with desk(tmp_path) as other:
        reply = other.ask(THANKS, user="ada", conversation=conversation, when_busy="interrupt")
    assert "welcome" in reply.text
    thread.join(20)
    assert said(agent, conversation) == [BROKEN, THANKS]


def test_a_full_inbox_is_busy_and_says_so(tmp_path: Path) -> None:
    agent, generator, conversation = waiting_desk(tmp_path, waiting_messages=2)
    threads = [in_thread(lambda: agent.ask(BROKEN, user="ada", conversation=conversation))]
    assert generator.entered.wait(10)
    waiting = [agent.stream(THANKS, user="ada", conversation=conversation) for _ in range(2)]
    with pytest.raises(Busy, match=r"2 messages that wait.*room for 2") as problem:
        agent.ask(THANKS, user="ada", conversation=conversation)
    assert "Try again" in problem.value.hint
    generator.leave.set()
    for stream in waiting:
        list(stream)
    threads[0].join(20)
    assert len(said(agent, conversation)) == 3


def test_a_message_that_is_sent_again_is_answered_once_and_heard_twice(tmp_path: Path) -> None:
    with desk(tmp_path) as agent:
        first = agent.ask(THANKS, user="ada", client_msg_id="m-1")
        again = agent.ask(THANKS, user="ada", client_msg_id="m-1")
        assert again == first
        with pytest.raises(InputRejected, match="belongs to another message"):
            agent.ask("where is my order 1042", user="ada", client_msg_id="m-1")
        assert said(agent, first.conversation_id) == [THANKS]


def test_a_stream_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    with desk(tmp_path) as agent:
        conversation = agent.new_conversation(user="ada")
        unread = agent.stream(THANKS, user="ada", conversation=conversation)
        begun = time.monotonic()
        agent.ask("thank you so much", user="ada", conversation=conversation)
        assert [type(event).__name__ for event in unread][-1] == "TurnFinished"
        dropped = agent.stream("thanks", user="ada", conversation=conversation)
        del dropped
        gc.collect()
        agent.ask("many thanks", user="ada", conversation=conversation)
        assert time.monotonic() - begun < 30  # a lease that is not given back lasts longer
        assert said(agent, conversation) == [THANKS, "thank you so much", "thanks", "many thanks"]


def test_two_agents_on_one_file_answer_a_conversation_in_order(tmp_path: Path) -> None:
    with desk(tmp_path) as first, desk(tmp_path) as second:
        conversation = first.new_conversation(user="ada")

        def ask(agent: Agent, name: str) -> None:
            for number in range(5):
                agent.ask(f"thank you {name}{number}", user="ada", conversation=conversation)

        threads = [in_thread(lambda: ask(first, "a")), in_thread(lambda: ask(second, "b"))]
        for thread in threads:
            thread.join(60)
        texts = said(first, conversation)
        for name in "ab":
            assert [t for t in texts if f" {name}" in t] == [f"thank you {name}{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("done", "status", "words"),
    [(True, "finished", "went through"), (False, "finished", "not done"), (None, "unknown", "can't tell")],
)
def test_a_person_can_say_whether_a_call_in_doubt_was_done(
    done: bool | None, status: str, words: str, tmp_path: Path
) -> None:
    ran: list[str] = []

    @tool(effect="write")
    def cancel_order(order_id: str) -> str:
        """Cancel an order."""
        ran.append(order_id)
        return "cancelled"

    (tmp_path / "agentkit.db").parent.mkdir(exist_ok=True)
    with open_store(tmp_path) as store:
        turn_id = turn_with_started_call(store.for_user("default", "ada"))
    asked: list[JournalRow] = []

    def settle(row: JournalRow) -> bool | None:
        asked.append(row)
        return done

    with _agent(tmp_path / "agentkit.db", [cancel_order]) as agent:
        (reply,) = agent.resume(settle)
        assert [row.call for row in asked] == [CALL]
        assert words in reply.text
        (row,) = agent.store.for_user("default", "ada").journal(turn_id)
        assert row.status == status
    assert ran == []


def test_a_turn_that_is_stopped_while_it_is_resumed_gives_every_call_its_result(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        turn_id = turn_with_started_call(store.for_user("default", "ada"))
    with _agent(tmp_path / "agentkit.db", []) as agent:
        ada = agent.store.for_user("default", "ada")
        claim = ada.claim(ada.latest_conversation() or "", 100)
        assert claim is not None
        stream = agent._attendant._run(ada, claim, {})
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert [row.status for row in ada.journal(turn_id)] == ["unknown"]
        assert agent.store.open_turns() == []


def test_a_conversation_goes_on_from_any_turn(tmp_path: Path) -> None:
    with desk(tmp_path) as agent:
        first = agent.ask(THANKS, user="ada")
        agent.ask("who won the football match", user="ada", conversation=first.conversation_id)
        fork = agent.fork(first.turn_id, user="ada", title="another way")
        agent.ask("thanks a lot", user="ada", conversation=fork)
        assert said(agent, fork) == [THANKS, "thanks a lot"]
        assert said(agent, first.conversation_id) == [THANKS, "who won the football match"]


def test_an_agent_works_without_a_file() -> None:
    agent = Agent(
        generator=ScriptedGenerator([]),
        encoder=HashingEncoder(64),
        database=InMemoryStore(),
        settings=Settings(),
    )
    reply = agent.ask("do you sell gift cards?", user="ada")
    assert reply.declined
    assert len(agent.store.for_user("default", "ada").transcript(reply.conversation_id)) == 2


def _agent(database: Path, tools: list[Tool]) -> Agent:
    return Agent(generator=ScriptedGenerator([]), encoder=HashingEncoder(64), tools=tools, database=database)
