"""Acting: the steps in which tools are called, until there is a reply.

The generator only ever chooses what the constraint leaves open: which tool (where the intent leaves a
choice), and arguments (where the user's words leave one). A call with one possibility is made without it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from typing import assert_never

from pydantic import JsonValue

from agentkit.agent import decide as decisions
from agentkit.agent.answer import answer_from_passages, answer_from_results
from agentkit.agent.candidates import Narrowed, TrustedText, narrow, suggestions, trusted_text
from agentkit.agent.decide import decide
from agentkit.agent.gate import Allow, Refuse, gate
from agentkit.agent.prompting import prompt_messages, prompt_tools
from agentkit.agent.replies import Composed
from agentkit.agent.route import Perception, Reason, UseTools
from agentkit.agent.steps import generate, record_calls, refuse_call, run_tool, with_call_ids
from agentkit.agent.turn import Turn
from agentkit.errors import ConstraintUnmet
from agentkit.events import (
    ArgumentAsked,
    CallRefused,
    Declined,
    Event,
    HandedOff,
    LimitReached,
    ToolsOffered,
)
from agentkit.messages import ToolCall, ToolResult, assistant, worst_trust
from agentkit.models.protocols import CallTools, Finished, FreeText, GenerationRequest, Usage
from agentkit.tools import Tool

_FEWEST_TOKENS = 16  # less than this cannot hold a call
_RETRIES = 1


def act(turn: Turn, route: UseTools | Reason, seen: Perception) -> Generator[Event, None, Composed]:
    """Call tools until a reply can be given, within the limits."""
    known: Mapping[str, JsonValue] = route.known if isinstance(route, UseTools) else {}
    intent = route.intent if isinstance(route, UseTools) else None
    retries = _RETRIES
    for _ in range(turn.wiring.settings.limits.steps):
        if limit := _limit_reached(turn):
            return (yield from _stop(turn, limit, "before a step"))
        trusted = trusted_text(turn.text, turn.history, turn.transcript)
        possible, lacking = _possible(route, trusted, known, turn)
        if not possible and not turn.results():
            if lacking is None:
                return (yield from answer_from_passages(turn, seen))
            return (yield from _ask(turn, lacking.tool, lacking.missing or "", trusted, intent, known))
        if possible:
            yield ToolsOffered(names=tuple(each.tool.name for each in possible))
        # 1. Write: nothing is generated where nothing is left to decide.
        reply = yield from _write(turn, route, seen, possible)
        # 2. Decide.
        match decide(reply, retries_left=retries):
            case decisions.CallTools(calls=calls):
                outcome = yield from _call(turn, calls, possible, trusted, known, intent)
                if outcome is not None:
                    return outcome
                if turn.results()[-1].status != "ok":
                    retries -= 1
                    if retries < 0:
                        return (yield from _give_up(turn, "the calls did not succeed"))
            case decisions.Answer(text=text):
                if turn.results():
                    return (yield from answer_from_results(turn, seen, text))
                return (yield from answer_from_passages(turn, seen))
            case decisions.CutShort(reason=reason):
                return (yield from _stop(turn, "tokens", reason))
            case decisions.Retry():
                retries -= 1
            case decisions.HandOff(reason=reason):
                if limit := _limit_reached(turn):
                    return (yield from _stop(turn, limit, reason))
                return (yield from _give_up(turn, reason))
            case other:
                assert_never(other)
    return (yield from _stop(turn, "steps", "no reply within the steps of a turn"))


def _possible(
    route: UseTools | Reason, trusted: TrustedText, known: Mapping[str, JsonValue], turn: Turn
) -> tuple[list[Narrowed], Narrowed | None]:
    """Tools that can be called now, and the first one that lacks a value if none can."""
    # An effect happens once in a turn: a small model asked what to do next likes to do it again.
    done = {result.name for result in turn.results() if result.status == "ok"}
    open_tools = [tool for tool in route.tools if tool.effect == "read" or tool.name not in done]
    narrowed = [narrow(tool, trusted, known) for tool in open_tools]
    possible = [each for each in narrowed if each.missing is None]
    lacking = next((each for each in narrowed if each.missing is not None), None)
    if isinstance(route, UseTools) and not turn.results():
        # The author's order of preference decides, not the generator.
        return possible[:1], lacking
    return possible, lacking


def _write(
    turn: Turn, route: UseTools | Reason, seen: Perception, possible: Sequence[Narrowed]
) -> Generator[Event, None, Finished | ConstraintUnmet]:
    must_call = isinstance(route, UseTools) and not turn.results()
    determined = possible[0].determined if must_call else None
    if determined is not None and turn.take_recorded_reply() is None:
        call = ToolCall(id="", name=possible[0].tool.name, arguments=determined)
        reply = with_call_ids(turn, assistant(calls=(call,)))
        record_calls(turn, reply, Usage())
        return Finished(reply, "", "stop", Usage())
    specs = tuple(each.spec for each in possible)
    constraint = CallTools(allow_text=not must_call, tools=specs) if specs else FreeText()
    tools = prompt_tools(turn, seen, route.tools if isinstance(route, UseTools) else None)
    most = turn.tokens_left
    request = GenerationRequest(
        messages=prompt_messages(turn, None if isinstance(route, UseTools) else seen, tools, most),
        tools=[tool.spec for tool in tools],
        constraint=constraint,
        max_tokens=most,
        deadline=turn.deadline,
        static=1,
    )
    try:
        return (yield from generate(turn, request))
    except ConstraintUnmet as error:
        return error


def _call(
    turn: Turn,
    calls: Sequence[ToolCall],
    possible: Sequence[Narrowed],
    trusted: TrustedText,
    known: Mapping[str, JsonValue],
    intent: str | None,
) -> Generator[Event, None, Composed | None]:
    """Put every call through the gate and run it; a reply if that ended the turn, None to go on."""
    outcome: Composed | None = None
    for call in calls:
        verdict = gate(
            call,
            [each.tool for each in possible],
            trusted=trusted,
            known=dict(known),
            earlier_calls=turn.calls_made(),
            repeated_calls=turn.wiring.settings.limits.repeated_calls,
        )
        match verdict:
            case Allow(tool=tool):
                result = yield from run_tool(turn, tool, call)
                ended = yield from _after(turn, tool, call, result, trusted, known, intent)
            case Refuse():
                ended = yield from _refused(turn, call, verdict, possible, trusted, known, intent)
            case other:
                assert_never(other)
        # Every call of the reply gets its result, so the loop goes on even where the reply is settled.
        outcome = outcome or ended
    return outcome


def _after(
    turn: Turn,
    tool: Tool,
    call: ToolCall,
    result: ToolResult,
    trusted: TrustedText,
    known: Mapping[str, JsonValue],
    intent: str | None,
) -> Generator[Event, None, Composed | None]:
    wiring = turn.wiring
    match result.status:
        case "ok" if worst_trust(result.parts) == "system":
            return wiring.replies.confirmed(call)  # by a person, after a crash: the tool said nothing
        case "ok":
            return wiring.replies.tool_result(call, result, wiring.now())
        case "retry":
            if intent is not None and (wrong := sorted(tool.authority & set(call.arguments))):
                return (yield from _ask(turn, tool, wrong[0], trusted, intent, _without(known, wrong[0])))
            return None
        case "failed":
            return wiring.replies.failed_call(result)
        case "timeout" if tool.effect == "read":
            return wiring.replies.failed_call(result)
        case "unknown" | "timeout":
            yield HandedOff(reason=f"it is not known whether {call.name} took effect")
            return wiring.replies.in_doubt(call)
        case "refused" | "interrupted":
            return None
        case other:
            assert_never(other)


def _refused(
    turn: Turn,
    call: ToolCall,
    verdict: Refuse,
    possible: Sequence[Narrowed],
    trusted: TrustedText,
    known: Mapping[str, JsonValue],
    intent: str | None,
) -> Generator[Event, None, Composed | None]:
    yield CallRefused(call=call, rule=verdict.rule, reason=verdict.reason)
    refuse_call(turn, call, verdict.reason)
    if verdict.rule == "provenance" and verdict.argument is not None:
        tool = next(each.tool for each in possible if each.tool.name == call.name)
        settled = {k: v for k, v in call.arguments.items() if k in tool.authority and k != verdict.argument}
        return (yield from _ask(turn, tool, verdict.argument, trusted, intent, {**known, **settled}))
    if verdict.rule == "repeated":
        yield LimitReached(limit="repeated_call", detail=verdict.reason)
        good = [result for result in turn.results() if result.status == "ok"]
        if good:
            text = turn.wiring.replies.plain_result(good[-1])
            return Composed(text, "quoted", (f"tool:{good[-1].name}",))
        return turn.wiring.replies.limit("repeated_call")
    return None


def _ask(
    turn: Turn,
    tool: Tool,
    argument: str,
    trusted: TrustedText,
    intent: str | None,
    known: Mapping[str, JsonValue],
) -> Generator[Event, None, Composed]:
    narrowed = narrow(tool, trusted, known)
    settled = {
        name: schema["enum"][0]
        for name, schema in narrowed.spec.parameters["properties"].items()
        if name in tool.authority and name != argument and len(schema.get("enum", ())) == 1
    }
    yield ArgumentAsked(tool=tool.name, argument=argument, intent=intent, known={**known, **settled})
    return turn.wiring.replies.ask(tool, argument, suggestions(tool, argument, trusted))


def _without(known: Mapping[str, JsonValue], name: str) -> dict[str, JsonValue]:
    return {key: value for key, value in known.items() if key != name}


def _limit_reached(turn: Turn) -> str | None:
    if time.monotonic() >= turn.deadline:
        return "seconds"
    return "tokens" if turn.tokens_left < _FEWEST_TOKENS else None


def _stop(turn: Turn, limit: str, detail: str) -> Generator[Event, None, Composed]:
    match limit:
        case "seconds" | "tokens" | "steps":
            yield LimitReached(limit=limit, detail=detail)
        case other:
            raise ValueError(f"unknown limit {other!r}")
    good = [result for result in turn.results() if result.status == "ok"]
    if good:
        # What was found out is worth more to the user than an apology.
        return Composed(turn.wiring.replies.plain_result(good[-1]), "quoted", (f"tool:{good[-1].name}",))
    yield Declined(reason="limit")
    return turn.wiring.replies.limit(limit)


def _give_up(turn: Turn, reason: str) -> Generator[Event, None, Composed]:
    yield HandedOff(reason=reason)
    return turn.wiring.replies.hand_off()
