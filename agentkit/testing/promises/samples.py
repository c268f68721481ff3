"""Short ways to write turns in the checks."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from agentkit.events import Event, Replied, TurnFinished
from agentkit.messages import ToolCall, assistant, tool_result, user
from agentkit.store.protocol import NewMemory, UserStore

CALL = ToolCall(id="call-1", name="cancel_order", arguments={"order_id": "1042"})
ASKED = CALL.model_copy(update={"id": "asked"})
DONE = tool_result(CALL, "cancelled", data={"order_id": "1042"})


def unit(*numbers: float) -> NDArray[numpy.float32]:
    """A vector of length 1, float32 [len(numbers)]."""
    vector = numpy.array(numbers, dtype=numpy.float32)
    return (vector / numpy.linalg.norm(vector)).astype(numpy.float32)


def memory(text: str, vector: NDArray[numpy.float32] | None = None, turn_id: str | None = None) -> NewMemory:
    """A fact with a vector of `encoder-a`, float32 [3]."""
    chosen = unit(1, 0, 0) if vector is None else vector
    return NewMemory("fact", text, "user", 0.5, "encoder-a", chosen, turn_id)


def trace(turn_id: str, reply: str) -> tuple[Event, ...]:
    """The last events of a turn."""
    return (Replied(text=reply, source="template"), TurnFinished(turn_id=turn_id))


def remembered(text: str) -> NewMemory:
    """The memory of a whole message."""
    return NewMemory("message", text, "user", 0.5, "encoder-a", unit(1, 0, 0))


def say(store: UserStore, conversation_id: str, text: str, reply: str = "Certainly.") -> str:
    """A committed turn without a tool; returns its id."""
    turn = store.begin_turn(conversation_id, user(text))
    store.record_step(turn.id, 0, assistant(reply))
    finish(store, turn.id, text, reply)
    return turn.id


def finish(store: UserStore, turn_id: str, text: str, reply: str = "Certainly.") -> None:
    """Commit an open turn that has no calls."""
    store.commit_turn(
        turn_id,
        reply=assistant(reply),
        events=trace(turn_id, reply),
        memories=[remembered(text)],
        status="done",
    )


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
