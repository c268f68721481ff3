"""What the end of a turn does to the queue of people in an in-memory store."""

from __future__ import annotations

import time
from typing import assert_never

from agentkit.store.hand_off_records import (
    Callback,
    EndOfHandOff,
    HandOffChange,
    HandOffRecord,
    HandOffStatus,
    NewHandOff,
)
from agentkit.testing.in_memory_rows import (
    ConversationData,
    HandOffData,
    InMemoryData,
    TurnData,
)


def write_change(
    data: InMemoryData, conversation: ConversationData, turn: TurnData, change: HandOffChange
) -> None:
    """Write what the end of a turn does to the queue."""
    active = next((each for each in conversation.hand_offs if each.record.is_active), None)
    match change:
        case NewHandOff():
            _queue(data, conversation, turn, change, active)
        case Callback():
            if active is not None:
                active.record = active.record.model_copy(update={"callback": change})
        case EndOfHandOff():
            if active is not None:
                end(data, active, change.outcome, change.note)
        case other:
            assert_never(other)


def note_answer(data: InMemoryData, conversation: ConversationData) -> None:
    """Note that a person answered just now."""
    for each in conversation.hand_offs:
        if each.record.status == "taken":
            each.until = time.monotonic() + each.seconds
            answered = each.record.answered_at or data.clock()
            each.record = each.record.model_copy(update={"answered_at": answered})


def end(data: InMemoryData, active: HandOffData, status: HandOffStatus, note: str) -> None:
    """End a hand-off that is not over."""
    active.record = active.record.model_copy(
        update={"status": status, "note": note, "ended_at": data.clock()}
    )


def shown(conversation: ConversationData, data: HandOffData) -> HandOffRecord:
    """A record as it is now."""
    is_idle = data.record.status == "taken" and time.monotonic() >= data.until
    return data.record.model_copy(update={"is_idle": is_idle, "waiting": len(conversation.waiting)})


def _queue(
    data: InMemoryData,
    conversation: ConversationData,
    turn: TurnData,
    new: NewHandOff,
    active: HandOffData | None,
) -> None:
    known = new.model_dump() | {"turn_id": turn.record.id}
    if active is not None:
        kept = active.record
        known |= {
            "id": kept.id,
            "priority": max(kept.priority, new.priority),
            "holds": kept.holds or new.holds,
        }
        active.record = kept.model_copy(update=known)
        return
    record = HandOffRecord(
        **known,
        tenant=conversation.owner[0],
        user=conversation.owner[1],
        conversation_id=conversation.record.id,
        status="waiting",
        person="",
        fence=0,
        is_idle=False,
        callback=None,
        note="",
        waiting=0,
        created_at=data.clock(),
        taken_at=None,
        answered_at=None,
        ended_at=None,
    )
    conversation.hand_offs.append(HandOffData(record))
