"""One worker of a soak: threads that send messages in bursts and answer what waits, until the process is killed.

The agent is whole but for its models: the generator does what the message says, the encoder counts words.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from agentkit.agent import Agent, Limits, Settings
from agentkit.agent.reply import fold
from agentkit.errors import Busy, LeaseLost, StoreLocked
from agentkit.events import Event
from agentkit.messages import Message, ToolResult, ToolSpec, User, assistant, text_of
from agentkit.messages import ToolCall as Call
from agentkit.models.protocols import ChoiceRequest, Delta, Finished, GenerationRequest, TextChunk, Usage
from agentkit.store.protocol import BusyPolicy
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing.crash_ledger import Ledger
from agentkit.testing.encoder import HashingEncoder
from agentkit.tools import Tool, ToolContext, tool

DATABASE: Final = "soak.db"
STOP: Final = "stop"  # a file of this name ends all workers
TENANT: Final = "default"
_THREADS: Final = 3
_BURST: Final = 3  # messages sent before the first reply is read
_USERS: Final = 4  # at once; all workers talk for the same ones
_NEW_USERS_EVERY: Final = 20.0  # seconds: people come and go
_ERRANDS: Final = ("look", "cancel", "move", "chat")
_POLICIES: Final[tuple[BusyPolicy, ...]] = ("enqueue", "enqueue", "enqueue", "merge", "interrupt", "reject")


@dataclass(frozen=True)
class Sent:
    """A message as its sender knows it; `text` is like no other, so it is its `client_msg_id` too."""

    user: str
    conversation: str
    text: str
    policy: BusyPolicy


class ObedientGenerator:
    """A generator that calls the tool which the last message names, and says what came of it."""

    name = "obedient"
    context_length = 100_000

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """A quarter of the characters."""
        return sum(len(text_of(message)) for message in messages) // 4

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`."""
        last = request.messages[-1]
        if isinstance(last, ToolResult):
            text = text_of(last)
            yield TextChunk(text)
            yield Finished(assistant(text), text, "stop", Usage())
            return
        said = " ".join(text_of(message) for message in request.messages if isinstance(message, User))
        wanted = said.split()[-2:]
        names = [spec.name for spec in request.tools]
        name = next((word for word in wanted if word in names), None)
        if name is None:
            yield Finished(assistant("There is nothing to do."), "There is nothing to do.", "stop", Usage())
        else:
            reply = assistant(calls=(Call(id="call_1", name=name, arguments={}),))
            yield Finished(reply, "", "stop", Usage())

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """All options are equal."""
        return (-1.0,) * len(request.options)

    def close(self) -> None:
        """Nothing is held."""


def open_agent(folder: Path, fuse: int | None = None) -> Agent:
    """The agent of a worker.

    Args:
        folder: Where database and ledger are.
        fuse: After so many crash points the process kills itself; None: never.
    """
    ledger, passed = Ledger(folder), [0]

    def at(point: str) -> None:
        passed[0] += 1
        if passed[0] == fuse:
            ledger.write("generated", f"killed at {point}")
            os.kill(os.getpid(), signal.SIGKILL)

    return Agent(
        generator=ObedientGenerator(),
        encoder=HashingEncoder(32),
        tools=_tools(ledger),
        database=SqliteStore.open(folder / DATABASE, on_write=at, busy_timeout=60),
        settings=Settings(
            instructions="You are a shop.", tool_similarity=-1, limits=Limits(waiting_messages=8)
        ),
    )


def _tools(ledger: Ledger) -> list[Tool]:
    @tool(effect="read")
    def look() -> str:
        """Look where an order is."""
        return "The order is in Porto."

    @tool(effect="write")
    def cancel(context: ToolContext) -> str:
        """Cancel an order."""
        ledger.write("effect", context.call_id)
        return "The order is cancelled."

    @tool(effect="write", idempotent=True)
    def move(context: ToolContext) -> str:
        """Send an order elsewhere."""
        ledger.write("effect", context.call_id)
        return "The order goes elsewhere."

    return [look, cancel, move]


def work(folder: Path, name: str, seed: int, fuse: int | None) -> None:
    """Send and answer messages until the stop file is there.

    Args:
        folder: Where database and ledger are.
        name: The worker's; a new process may carry on an old name, and sends again what may not have arrived.
        seed: Decides what is sent.
        fuse: See `open_agent`.
    """
    agent = open_agent(folder, fuse)
    agent.resume()
    threads = [
        threading.Thread(target=_converse, args=(agent, folder, f"{name}.{number}", seed * 100 + number))
        for number in range(_THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    agent.store.close()


def _converse(agent: Agent, folder: Path, sender: str, seed: int) -> None:
    ledger, dice = Ledger(folder, sender), random.Random(seed)
    made = _send_again(agent, ledger)
    while not (folder / STOP).exists():
        burst = []
        user = f"user-{int(time.time() // _NEW_USERS_EVERY)}-{dice.randrange(_USERS)}"
        store = agent.store.for_user(TENANT, user)
        conversation = store.latest_conversation() or store.new_conversation()
        for _ in range(dice.randint(1, _BURST)):
            text = f"{sender} {made} please {dice.choice(_ERRANDS)} it"
            burst.append(Sent(user, conversation, text, dice.choice(_POLICIES)))
            made += 1
        _deliver(agent, ledger, burst)
        if dice.random() < 0.1:
            _deliver(agent, ledger, burst[-1:])  # a sender that did not hear the reply


def _send_again(agent: Agent, ledger: Ledger) -> int:
    """What was sent and perhaps never accepted is sent again, under its name; how many messages were made."""
    sent = [Sent(**json.loads(line)) for line in ledger.read("sent")]
    settled = {*ledger.read("committed"), *ledger.read("refused")}
    for each in sent:
        if each.text not in settled:
            _deliver(agent, ledger, [each], again=True)
    return len({each.text for each in sent})


def _deliver(agent: Agent, ledger: Ledger, burst: Sequence[Sent], *, again: bool = False) -> None:
    """Send messages one after the other, then read the replies."""
    streams: list[tuple[Sent, Iterator[Event]]] = []
    for each in burst:
        if not again:
            ledger.write("sent", json.dumps(asdict(each)))
        try:
            events = agent.stream(
                each.text,
                user=each.user,
                tenant=TENANT,
                conversation=each.conversation,
                client_msg_id=each.text,
                when_busy=each.policy,
            )
        except (Busy, StoreLocked):
            ledger.write("refused", each.text)  # nothing was stored
            continue
        ledger.write("accepted", each.text)
        streams.append((each, events))
    for each, events in streams:
        try:
            fold(events)
        except (LeaseLost, StoreLocked):
            continue  # somebody else answers it
        ledger.write("committed", each.text)
