"""The loop: perceive, choose a route, follow it, commit, reply.

One synchronous generator of events. Everything up to the commit is yielded as it happens; the reply is
yielded after the commit, so that nobody is told what a crash could take back.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Literal, assert_never

from agentkit.agent.act import act
from agentkit.agent.answer import answer_from_passages
from agentkit.agent.calls import Paused
from agentkit.agent.dialogue import converse
from agentkit.agent.fact_extraction import generated_facts
from agentkit.agent.hand_over import hand_over, heard_callback
from agentkit.agent.perceive import perceive
from agentkit.agent.questions import Before
from agentkit.agent.replies import Composed
from agentkit.agent.route import (
    AskWhich,
    Decline,
    HandOver,
    Perception,
    Reason,
    Route,
    StoredAnswer,
    UseKnowledge,
    UseMemory,
    UseTools,
    choose_route,
)
from agentkit.agent.turn import Turn
from agentkit.events import (
    Declined,
    Event,
    HandedOff,
    IntentAsked,
    LimitReached,
    Replied,
    TextDelta,
    TurnFinished,
    TurnPaused,
    TurnStarted,
)
from agentkit.memory import memories_of
from agentkit.messages import assistant, tool_result, unanswered_calls, user, worst_trust
from agentkit.store.protocol import HandOffChange, NewMemory
from agentkit.tools import with_ids


def run_turn(turn: Turn, before: Before) -> Iterator[Event]:
    """Answer one stored user message.

    Args:
        turn: Its state; fresh, or with the recorded steps of a process that crashed.
        before: How the turn before ended.
    """
    resumed = bool(turn.recorded or turn.journal)
    yield from noted(turn, _answer(turn, before, resumed))


def _answer(turn: Turn, before: Before, resumed: bool) -> Iterator[Event]:
    yield TurnStarted(
        conversation_id=turn.conversation_id, turn_id=turn.turn_id, text=turn.text, resumed=resumed
    )
    if (heard := heard_callback(turn)) is not None:
        yield heard.event
        yield from _ended(turn, heard.composed, None, heard.wish)
        return
    # 1. One encoder pass: intent, memories, passages, tools.
    seen = yield from perceive(turn)
    # 2. Do the bot's flows have to do with it?
    composed = yield from converse(turn, seen, before)
    if composed is None:
        # 3. Else: where does it go? Go there.
        route = choose_route(
            turn.text,
            seen,
            pending=before.question,
            bindings=turn.wiring.bindings,
            tools=turn.tools,
            settings=turn.wiring.settings,
        )
        composed = yield from _follow(turn, route, seen)
    if isinstance(composed, Paused):
        # The turn stays open: its steps and what it waits for are durable, and `Agent.approvals` goes on with it.
        yield TextDelta(text=composed.composed.text)
        yield Replied(text=composed.composed.text, source=composed.composed.source)
        elapsed = (time.monotonic() - turn.started) * 1000
        yield TurnPaused(turn_id=turn.turn_id, approvals=composed.approvals, milliseconds=elapsed)
        return
    if issued := turn.issued():
        composed = replace(composed, text=with_ids(composed.text, issued))
    composed, queued = yield from hand_over(turn, composed)
    # 4. Everything becomes durable together; then the user hears it.
    yield from _ended(turn, composed, seen, queued)


def _ended(
    turn: Turn, composed: Composed, seen: Perception | None, hand_off: HandOffChange | None
) -> Iterator[Event]:
    replied = Replied(text=composed.text, source=composed.source, citations=composed.citations)
    finished = TurnFinished(turn_id=turn.turn_id, milliseconds=(time.monotonic() - turn.started) * 1000)
    limited = any(isinstance(event, LimitReached) for event in turn.events)
    commit(turn, composed.text, "limited" if limited else "done", (replied, finished), seen, hand_off)
    yield TextDelta(text=composed.text)
    yield replied
    yield finished


def noted(turn: Turn, events: Iterator[Event]) -> Iterator[Event]:
    """Keep every event for the trace, until the turn is committed with them."""
    for event in events:
        if not turn.committed:
            turn.events.append(event)
        yield event


def _follow(turn: Turn, route: Route, seen: Perception) -> Generator[Event, None, Composed | Paused]:
    replies = turn.wiring.replies
    match route:
        case StoredAnswer(intent=intent, template=template):
            return replies.stored_answer(template, intent, turn.profile)
        case AskWhich(intents=intents):
            yield IntentAsked(intents=intents)
            bindings = turn.wiring.bindings
            return replies.ask_which([(each, bindings[each].description) for each in intents])
        case HandOver(reason=reason):
            yield HandedOff(reason=reason)
            return replies.hand_off()
        case UseTools() | Reason():
            return (yield from act(turn, route, seen))
        case UseKnowledge(passages=passages):
            return (yield from answer_from_passages(turn, seen, passages))
        case UseMemory(facts=facts):
            return replies.from_memory(facts)
        case Decline(reason=reason):
            yield Declined(reason=reason)
            return replies.declined(reason)
        case other:
            assert_never(other)


def _remembered(turn: Turn, seen: Perception) -> tuple[NewMemory, ...]:
    generated = turn.wiring.settings.fact_extraction == "generated"
    facts = generated_facts(turn) if generated else None
    return turn.recall.settle(memories_of(user(turn.text), turn.wiring.encoder, seen.vector, facts))


def commit(
    turn: Turn,
    text: str,
    status: Literal["done", "limited", "interrupted"],
    last_events: tuple[Event, ...],
    seen: Perception | None,
    hand_off: HandOffChange | None = None,
) -> None:
    """End the turn in one transaction.

    Args:
        turn: The turn.
        text: The reply.
        status: How it ended.
        last_events: Events that are yielded after the commit and belong to the trace.
        seen: What was perceived; None if the turn was interrupted before.
        hand_off: What it does to the queue of people.
    """
    results = []
    # Steps of a crashed process that were not read back yet belong to the turn, too.
    said = [*turn.transcript, *turn.recorded[len(turn.transcript) :]]
    for call in unanswered_calls(said):
        row = turn.journal.get(call.id)
        was_started = call.id in turn.started_calls or (row is not None and row.status == "started")
        if was_started:
            words = "It was interrupted; it is not known whether it took effect."
            results.append(tool_result(call, words, status="unknown"))
        else:
            results.append(tool_result(call, "It was interrupted before it ran.", status="interrupted"))
    # What was read may be in the words of the reply: it is trusted no more than the worst of it.
    read = worst_trust([part for message in turn.transcript for part in message.parts])
    reply = assistant(text, trust="untrusted" if read == "untrusted" else "system")
    turn.store.commit_turn(
        turn.turn_id,
        reply=reply,
        events=(*turn.events, *last_events),
        memories=_remembered(turn, seen) if seen is not None else (),
        status=status,
        results=results,
        hand_off=hand_off,
    )
    turn.committed = True
    turn.reply = None if results else reply
