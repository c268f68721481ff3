"""What `Agent.ask` returns, and how it is made from the events of a turn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from agentkit.events import (
    Declined,
    Event,
    PassedOn,
    Replied,
    ReplySource,
    TurnFinished,
    TurnPaused,
    TurnStarted,
)
from agentkit.messages import Value


class Reply(Value):
    """What `Agent.ask` returns: the fold over the events of a turn.

    Args:
        text: What the user is told.
        source: Where the words come from.
        declined: Whether the bot said that it does not know.
        citations: Ids of the passages, tools or memories that the reply was made from.
        conversation_id: The conversation, to go on with it.
        turn_id: The turn, to read its trace.
        milliseconds: How long the turn took.
        approvals: Ids of what a person has to decide before the turn goes on; empty when it is finished.
        by: The person who answered in the bot's place; or, with `waits`, who will.
        waits: The message is stored and waits for a person: there is no turn yet, and what `text` says is who answers
            and when, or nothing where that was said before.
    """

    text: str
    source: ReplySource
    declined: bool
    citations: tuple[str, ...]
    conversation_id: str
    turn_id: str
    milliseconds: float
    approvals: tuple[str, ...] = ()
    by: str = ""
    waits: bool = False


def fold(events: Iterator[Event]) -> Reply:
    """Run a stream to its end and return what it said."""
    conversation_id = ""
    declined = False
    replied: Replied | None = None
    finished: TurnFinished | TurnPaused | None = None
    with contextlib.closing(events):  # type: ignore[type-var]
        for event in events:
            match event:
                case TurnStarted():
                    conversation_id = event.conversation_id
                case Declined():
                    declined = True
                case Replied():
                    replied = event
                case TurnFinished() | TurnPaused():
                    finished = event
                case PassedOn():
                    return _waiting(event)
                case _:
                    pass
    assert replied is not None
    assert finished is not None
    return Reply(
        text=replied.text,
        source=replied.source,
        declined=declined,
        citations=replied.citations,
        conversation_id=conversation_id,
        turn_id=finished.turn_id,
        milliseconds=finished.milliseconds,
        approvals=finished.approvals if isinstance(finished, TurnPaused) else (),
        by=replied.by,
    )


def _waiting(event: PassedOn) -> Reply:
    return Reply(
        text=event.text,
        source="hand_off",
        declined=False,
        citations=(),
        conversation_id=event.conversation_id,
        turn_id="",
        milliseconds=event.milliseconds,
        by=event.person,
        waits=True,
    )
