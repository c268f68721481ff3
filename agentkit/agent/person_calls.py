"""A person uses one of the bot's tools for a customer: through the gate, as that customer, and journalled."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import assert_never

from agentkit.agent.candidates import TrustedText
from agentkit.agent.gate import Allow, Ask, Refuse, Situation, gate
from agentkit.agent.hand_off_desk import HandOffDesk
from agentkit.agent.loop import commit, noted
from agentkit.agent.steps import Ready, context_for, record_calls, refuse_call, run_tools, with_call_ids
from agentkit.agent.turn import Settle, Turn
from agentkit.errors import RecordNotFound
from agentkit.events import (
    ApprovalReason,
    CallChecked,
    CallRefused,
    Event,
    PersonAnswered,
    TurnFinished,
    TurnStarted,
)
from agentkit.messages import ToolCall, ToolEffect, assistant
from agentkit.models.protocols import Usage
from agentkit.store.hand_off_records import HandOffRecord
from agentkit.store.protocol import Claim


@dataclass(frozen=True)
class CallToAgree:
    """What a person has to confirm before it runs.

    Args:
        call: The exact call.
        effect: What it does.
        reasons: What the gate says about it.
        in_doubt: It was made before in this conversation, and a crash hid whether it took effect.
    """

    call: ToolCall
    effect: ToolEffect
    reasons: tuple[ApprovalReason, ...]
    in_doubt: bool


Agree = Callable[[CallToAgree], bool]
"""Asked once before a call with an effect runs, or one that the gate has doubts about."""


def call_as_person(
    desk: HandOffDesk,
    record: HandOffRecord,
    turn_of: Callable[[Claim, HandOffRecord], Turn],
    call: ToolCall,
    agree: Agree,
    settle: Settle | None = None,
) -> Iterator[Event]:
    """Make a call in a conversation that a person has; the events of its turn, in which nothing is said.

    Args:
        desk: The desk.
        record: The hand-off as `take` returned it.
        turn_of: Makes the working state of a claimed turn.
        call: The call; what the person typed counts as said by somebody trusted.
        agree: Asked before it has an effect.
        settle: Asked about calls of a desk that crashed.

    Raises:
        LeaseLost: A colleague has the conversation now; nothing ran.
        RecordNotFound: The bot has no such tool.
        TurnConflict: The hand-off is over.
    """
    claim = desk.claim(record, with_waiting=False, settle=settle)
    assert claim is not None  # only a named turn can be over
    turn = turn_of(claim, record)
    yield from noted(turn, _steps(turn, record, call, agree))
    state, finished = desk.where_the_dialogue_stands(record), TurnFinished(turn_id=turn.turn_id)
    commit(turn, "", "done", (*state, finished), None)
    yield finished


def _steps(turn: Turn, record: HandOffRecord, call: ToolCall, agree: Agree) -> Generator[Event, None, None]:
    turn.tools = turn.wiring.tools.prepared(context_for(turn))
    tool = turn.tools.get(call.name)
    yield TurnStarted(conversation_id=turn.conversation_id, turn_id=turn.turn_id, text="")
    yield PersonAnswered(hand_off_id=record.id, person=record.person)
    if tool is None:
        commit(turn, "", "done", (TurnFinished(turn_id=turn.turn_id),), None)
        raise RecordNotFound(
            f"The bot has no tool {call.name!r} for {turn.user}.",
            hint=f"It has: {', '.join(sorted(each.name for each in turn.tools.tools)) or 'none'}.",
        )
    written = with_call_ids(turn, assistant(calls=[call], by=record.person))
    record_calls(turn, written, Usage())
    (call,) = written.calls
    verdict = gate(call, [tool], _situation(turn, call))
    match verdict:
        case Refuse():
            yield CallRefused(call=call, rule=verdict.rule, reason=verdict.reason)
            refuse_call(turn, call, verdict.reason)
            return
        case Allow():
            reasons: tuple[ApprovalReason, ...] = ()
        case Ask():
            reasons = verdict.reasons
        case other:
            assert_never(other)
    yield CallChecked(call=verdict.call, effect=tool.effect, origins=verdict.origins, reasons=reasons)
    to_agree = CallToAgree(verdict.call, tool.effect, reasons, _is_in_doubt(turn, verdict.call))
    if (reasons or tool.effect != "read") and not agree(to_agree):
        reason = f"{record.person} did not confirm it"
        yield CallRefused(call=call, rule="rejected", reason=reason)
        refuse_call(turn, call, reason)
        return
    yield from run_tools(turn, [Ready(tool, call, verdict.call)])


def _is_in_doubt(turn: Turn, call: ToolCall) -> bool:
    made = (
        row
        for each in turn.store.turns(turn.conversation_id)
        for row in turn.store.journal(each.id)
        if row.status == "unknown"
    )
    return any((row.call.name, row.call.arguments) == (call.name, call.arguments) for row in made)


def _situation(turn: Turn, call: ToolCall) -> Situation:
    """What the person typed is what is trusted here; everything else is as for the bot."""
    typed = " ".join(map(str, call.arguments.values()))
    settings = turn.wiring.settings
    return Situation(
        trusted=TrustedText(typed, turn.history, handles_only=True),
        known=dict(call.arguments),
        untrusted=[],
        planned=frozenset([call.name]),
        is_certain=True,
        confidential=[],
        permissions=turn.permissions,
        repeated_calls=settings.limits.repeated_calls,
        approve=frozenset(settings.approve),
    )
