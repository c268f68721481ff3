"""Short ways to write turns in the tests of the store."""

from __future__ import annotations

from pathlib import Path

import numpy
from numpy.typing import NDArray

from agentkit.events import Event, Replied, TurnFinished
from agentkit.messages import ToolCall, assistant, tool_result, user
from agentkit.store.protocol import NewMemory, UserStore
from agentkit.store.sqlite_store import SqliteStore

CALL = ToolCall(id="call-1", name="cancel_order", arguments={"order_id": "1042"})


def open_store(folder: Path) -> SqliteStore:
    return SqliteStore.open(folder / "agentkit.db", busy_timeout=0.2)


def unit(*numbers: float) -> NDArray[numpy.float32]:
    vector = numpy.array(numbers, dtype=numpy.float32)
    return (vector / numpy.linalg.norm(vector)).astype(numpy.float32)


def memory(text: str, vector: NDArray[numpy.float32] | None = None, turn_id: str | None = None) -> NewMemory:
    chosen = unit(1, 0, 0) if vector is None else vector
    return NewMemory("fact", text, "user", 0.5, "encoder-a", chosen, turn_id)


def trace(turn_id: str, reply: str) -> tuple[Event, ...]:
    return (Replied(text=reply, source="template"), TurnFinished(turn_id=turn_id))


def remembered(text: str) -> NewMemory:
    """The memory of a whole message."""
    return NewMemory("message", text, "user", 0.5, "encoder-a", unit(1, 0, 0))


def say(store: UserStore, conversation_id: str, text: str, reply: str = "Certainly.") -> str:
    """A committed turn without a tool; returns its id."""
    turn = store.begin_turn(conversation_id, user(text))
    store.record_step(turn.id, 0, assistant(reply))
    store.commit_turn(
        turn.id,
        reply=assistant(reply),
        events=trace(turn.id, reply),
        memories=[remembered(text)],
        status="done",
    )
    return turn.id


def turn_with_written_call(store: UserStore, call: ToolCall = CALL) -> str:
    """An open turn whose generator has written a call; returns its id."""
    turn = store.begin_turn(store.new_conversation(), user("Please cancel order 1042"))
    store.record_step(turn.id, 0, assistant("", [call]))
    return turn.id


def turn_with_started_call(store: UserStore, call: ToolCall = CALL, *, idempotent: bool = False) -> str:
    """An open turn that a crash left while a tool with an effect was running; returns its id."""
    turn_id = turn_with_written_call(store, call)
    store.start_call(turn_id, call, effect="write", idempotent=idempotent)
    return turn_id


DONE = tool_result(CALL, "cancelled", data={"order_id": "1042"})
