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
from agentkit.agent.calls import Paused, ask, call_tools, situation_of
from agentkit.agent.candidates import Narrowed, TrustedText, narrow
from agentkit.agent.decide import decide
from agentkit.agent.prompting import prompt_messages, prompt_tools
from agentkit.agent.replies import Composed
from agentkit.agent.route import Perception, Reason, UseTools
from agentkit.agent.steps import generate, record_calls, with_call_ids
from agentkit.agent.turn import Turn
from agentkit.errors import ConstraintUnmet
from agentkit.events import Declined, Event, HandedOff, LimitReached, ToolsOffered
from agentkit.messages import ToolCall, assistant
from agentkit.models.call_rules import says_something_new
from agentkit.models.protocols import CallTools, Finished, FreeText, GenerationRequest, Usage

_FEWEST_TOKENS = 16  # less than this cannot hold a call
_RETRIES = 1


def act(turn: Turn, route: UseTools | Reason, seen: Perception) -> Generator[Event, None, Composed | Paused]:
    """Call tools until a reply can be given or a person has to agree to a call, within the limits."""
    known: Mapping[str, JsonValue] = route.known if isinstance(route, UseTools) else {}
    intent = route.intent if isinstance(route, UseTools) else None
    retries = _RETRIES
    for _ in range(turn.wiring.settings.limits.steps):
        if limit := _limit_reached(turn):
            return (yield from _stop(turn, limit, "before a step"))
        trusted = TrustedText(turn.text, turn.history, tuple(turn.transcript))
        possible, lacking = _possible(route, trusted, known, turn)
        if not possible and not turn.results():
            if lacking is None:
                return (yield from answer_from_passages(turn, seen))
            return (yield from ask(turn, lacking.tool, lacking.missing or "", trusted, intent, known))
        if possible:
            yield ToolsOffered(names=tuple(each.tool.name for each in possible))
        # 1. Write: nothing is generated where nothing is left to decide.
        reply = yield from _write(turn, route, seen, possible)
        # 2. Decide.
        match decide(reply, retries_left=retries):
            case decisions.CallTools(calls=calls):
                situation = situation_of(turn, route, seen, trusted)
                outcome = yield from call_tools(turn, calls, [e.tool for e in possible], situation, intent)
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
    tools = prompt_tools(turn, seen, route.tools if isinstance(route, UseTools) else None)
    most = turn.tokens_left
    messages = prompt_messages(turn, None if isinstance(route, UseTools) else seen, tools, most)
    # Several calls in one reply run side by side; a further one has to bring something that the user said.
    constraint = (
        CallTools(
            allow_text=not must_call,
            tools=specs,
            max_calls=turn.wiring.settings.limits.calls_at_once,
            further=says_something_new(messages),
        )
        if specs
        else FreeText()
    )
    request = GenerationRequest(
        messages=messages,
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
