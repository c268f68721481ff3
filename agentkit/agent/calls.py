"""The calls of one reply: through the gate, to a person where the gate asks for one, and to the tools.

What an earlier process decided is not decided again: a call that has a result keeps it, a call that a person was asked
about keeps the answer.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from pydantic import JsonValue

from agentkit.agent.candidates import TrustedText, narrow, suggestions
from agentkit.agent.gate import Allow, Ask, Refuse, Situation, Verdict, gate
from agentkit.agent.provenance import Source
from agentkit.agent.replies import Composed
from agentkit.agent.route import Perception, Reason, UseTools
from agentkit.agent.steps import Ready, refuse_call, run_tools
from agentkit.agent.turn import Turn
from agentkit.events import (
    ApprovalAnswered,
    ApprovalRequested,
    ArgumentAsked,
    CallChecked,
    CallRefused,
    Event,
    HandedOff,
    LimitReached,
    ToolCallFinished,
)
from agentkit.messages import Assistant, Message, ToolCall, ToolResult, worst_trust
from agentkit.store.protocol import NewApproval
from agentkit.tools import Tool


@dataclass(frozen=True)
class Paused:
    """The turn waits for a person.

    Args:
        approvals: The ids of what is waited for.
        composed: What the user hears meanwhile.
    """

    approvals: tuple[str, ...]
    composed: Composed


def situation_of(turn: Turn, route: UseTools | Reason, seen: Perception, trusted: TrustedText) -> Situation:
    """What was known and read when the calls of this step were written."""
    settings = turn.wiring.settings
    keeping = {tool.name for tool in turn.wiring.tools.tools if tool.keeps_results}
    messages = (*turn.history, *turn.transcript)
    untrusted = [
        Source(_origin(message), part.text)
        for message in messages
        for part in message.parts
        if part.trust == "untrusted"
    ]
    confidential = [
        Source(_origin(message), part.text)
        for message in messages
        if isinstance(message, ToolResult) and message.name in keeping
        for part in message.parts
    ]
    if isinstance(route, Reason):
        # Recalled facts and passages are in the prompt of this route only.
        untrusted += [Source("memory", m.text) for m in seen.memories if m.trust == "untrusted"]
        untrusted += [Source("knowledge", passage.text) for passage in seen.passages]
        confidential += [Source("memory", memory.text) for memory in seen.memories]
        near = (each for each in seen.tools if each.similarity >= settings.plan_similarity)
        planned = frozenset(each.tool.name for each in near)
    else:
        planned = frozenset(tool.name for tool in route.tools)
    return Situation(
        trusted=trusted,
        known=route.known if isinstance(route, UseTools) else {},
        untrusted=untrusted,
        planned=planned,
        is_certain=isinstance(route, UseTools),
        confidential=confidential,
        permissions=turn.permissions,
        repeated_calls=settings.limits.repeated_calls,
        approve=frozenset(settings.approve),
    )


def _origin(message: Message) -> str:
    match message:
        case ToolResult():
            return f"tool:{message.name}"
        case Assistant():
            return "an earlier reply"
        case _:
            return message.role


@dataclass(frozen=True)
class Ran:
    """What became of calls: what the gate said and what came back, by call id."""

    verdicts: Mapping[str, Verdict]
    results: Mapping[str, ToolResult]


def call_tools(
    turn: Turn, calls: Sequence[ToolCall], offered: Sequence[Tool], situation: Situation, intent: str | None
) -> Generator[Event, None, Composed | Paused | None]:
    """Put the calls of a reply through the gate and run those that may; a reply or a pause if that ended the turn.

    Args:
        turn: The turn.
        calls: What the generator wrote.
        offered: The tools of this step.
        situation: What was known and read when it was written.
        intent: What led here.
    """
    ran = yield from run_checked(turn, calls, offered, situation)
    if isinstance(ran, Paused):
        return ran
    outcomes: list[Composed] = []
    for call in calls:
        verdict, result = ran.verdicts[call.id], ran.results[call.id]
        ended = yield from _after(turn, call, verdict, result, offered, situation, intent)
        if ended is not None:
            outcomes.append(ended)
    return _joined(outcomes)


def run_checked(
    turn: Turn, calls: Sequence[ToolCall], offered: Sequence[Tool], situation: Situation
) -> Generator[Event, None, Ran | Paused]:
    """Put calls through the gate and run those that may; see `call_tools` for the arguments."""
    earlier = list(turn.calls_made())
    results = {each.call_id: each for each in turn.take_recorded_results(calls)}
    for result in results.values():
        yield ToolCallFinished(result=result, status=result.status, replayed=True)
    verdicts: dict[str, Verdict] = {}
    ready: list[Ready] = []
    waiting: list[Ask] = []
    for call in calls:
        left = turn.wiring.settings.limits.calls - len(earlier)
        verdict = gate(call, offered, replace(situation, earlier_calls=earlier, calls_left=left))
        verdicts[call.id] = verdict
        earlier.append(call)
        is_new = call.id not in results
        match verdict:
            case Refuse():
                yield CallRefused(call=call, rule=verdict.rule, reason=verdict.reason)
                if is_new:
                    results[call.id] = refuse_call(turn, call, verdict.reason)
            case Allow():
                yield _checked(verdict)
                if is_new:
                    ready.append(Ready(verdict.tool, call, verdict.call))
            case Ask():
                yield _checked(verdict)
                agreed = yield from _answer(turn, call, verdict, results)
                if agreed is not None and is_new:
                    ready.append(agreed)
                elif call.id not in results:
                    waiting.append(verdict)
            case other:
                assert_never(other)
    results |= yield from run_tools(turn, ready)
    if waiting:
        return (yield from _pause(turn, waiting))
    return Ran(verdicts, results)


def _joined(outcomes: Sequence[Composed]) -> Composed | None:
    """What is said of several calls: all results; if one of them ended in a question or a hand-off, that."""
    if not outcomes or len(outcomes) == 1:
        return outcomes[0] if outcomes else None
    other = next((each for each in outcomes if each.source != "template"), None)
    if other is not None:
        return other
    text = "\n".join(dict.fromkeys(each.text for each in outcomes))
    return Composed(text, "template", tuple(dict.fromkeys(c for each in outcomes for c in each.citations)))


def _checked(verdict: Allow | Ask) -> CallChecked:
    reasons = verdict.reasons if isinstance(verdict, Ask) else ()
    return CallChecked(
        call=verdict.call, effect=verdict.tool.effect, origins=verdict.origins, reasons=reasons
    )


def _answer(
    turn: Turn, call: ToolCall, verdict: Ask, results: dict[str, ToolResult]
) -> Generator[Event, None, Ready | None]:
    """What a person said about a call, if somebody did; a rejected call gets its result."""
    record = turn.approvals.get(call.id)
    if record is None or record.status == "waiting":
        return None
    settled = record.settled
    decision = record.status if record.status in ("rejected", "changed") else "approved"
    if decision == "approved" and settled != record.call.arguments:
        decision = "changed"  # and used since
    yield ApprovalAnswered(
        approval_id=record.id,
        decision=decision,
        by=record.answered_by,
        reason=record.answer,
        arguments=settled or {},
    )
    if settled is None and call.id not in results:
        reason = turn.wiring.prompts.render("call_rejected", tool=call.name, reason=record.answer)
        yield CallRefused(call=call, rule="rejected", reason=reason)
        results[call.id] = refuse_call(turn, call, reason)
    if settled is None:
        return None
    return Ready(verdict.tool, call, verdict.call.model_copy(update={"arguments": settled}), approved=True)


def _pause(turn: Turn, waiting: Sequence[Ask]) -> Generator[Event, None, Paused]:
    requests = [
        NewApproval(
            turn_id=turn.turn_id,
            call=ask.call,
            effect=ask.tool.effect,
            reasons=ask.reasons,
            profile=dict(turn.profile),
        )
        for ask in waiting
    ]
    records = [turn.store.request_approval(request) for request in requests]
    turn.paused = True
    for record in records:
        yield ApprovalRequested(
            approval_id=record.id, call=record.call, effect=record.effect, reasons=record.reasons
        )
    return Paused(
        tuple(record.id for record in records), turn.wiring.replies.awaiting([r.call for r in records])
    )


def _after(
    turn: Turn,
    call: ToolCall,
    verdict: Verdict,
    result: ToolResult,
    offered: Sequence[Tool],
    situation: Situation,
    intent: str | None,
) -> Generator[Event, None, Composed | None]:
    """What one result means for the turn: a reply, or None to go on."""
    if isinstance(verdict, Refuse) and result.status == "refused":
        return (yield from _after_refusal(turn, call, verdict, offered, situation, intent))
    # It has a result, so its tool is there, even if the gate would decide otherwise today.
    wiring, tool = turn.wiring, next(tool for tool in offered if tool.name == call.name)
    match result.status:
        case "ok" if worst_trust(result.parts) == "system":
            return wiring.replies.confirmed(call)  # by a person, after a crash: the tool said nothing
        case "ok":
            made = call if isinstance(verdict, Refuse) else verdict.call
            return wiring.replies.tool_result(made, result, wiring.now())
        case "retry":
            if intent is not None and (wrong := sorted(tool.authority & set(call.arguments))):
                known = {name: value for name, value in situation.known.items() if name != wrong[0]}
                return (yield from ask(turn, tool, wrong[0], situation.trusted, intent, known))
            return None
        case "failed":
            return wiring.replies.failed_call(result)
        case "timeout" if tool.effect == "read":
            return wiring.replies.failed_call(result)
        case "unknown" | "timeout":
            yield HandedOff(reason=f"it is not known whether {call.name} took effect")
            return wiring.replies.in_doubt(call)
        case "refused":
            record = turn.approvals.get(call.id)
            return wiring.replies.rejected(call, record.answer if record is not None else "")
        case "interrupted":
            return None
        case other:
            assert_never(other)


def _after_refusal(
    turn: Turn,
    call: ToolCall,
    verdict: Refuse,
    offered: Sequence[Tool],
    situation: Situation,
    intent: str | None,
) -> Generator[Event, None, Composed | None]:
    if verdict.rule == "provenance" and verdict.argument is not None:
        tool = next(tool for tool in offered if tool.name == call.name)
        settled = {name: value for name, value in verdict.settled.items() if name in tool.authority}
        known = {**situation.known, **settled}
        return (yield from ask(turn, tool, verdict.argument, situation.trusted, intent, known))
    if verdict.rule in ("repeated", "budget"):
        yield LimitReached(limit="repeated_call", detail=verdict.reason)
        good = [result for result in turn.results() if result.status == "ok"]
        if good:
            text = turn.wiring.replies.plain_result(good[-1])
            return Composed(text, "quoted", (f"tool:{good[-1].name}",))
        return turn.wiring.replies.limit("repeated_call")
    return None


def ask(
    turn: Turn,
    tool: Tool,
    argument: str,
    trusted: TrustedText,
    intent: str | None,
    known: Mapping[str, JsonValue],
) -> Generator[Event, None, Composed]:
    """Ask the user for a value; what is settled already is kept for the next turn."""
    narrowed = narrow(tool, trusted, known)
    settled = {
        name: schema["enum"][0]
        for name, schema in narrowed.spec.parameters["properties"].items()
        if name in tool.authority and name != argument and len(schema.get("enum", ())) == 1
    }
    yield ArgumentAsked(tool=tool.name, argument=argument, intent=intent, known={**known, **settled})
    return turn.wiring.replies.ask(tool, argument, suggestions(tool, argument, trusted))
