"""The two kinds of step: a generation and a tool call. Each is recorded when it ends and never runs again."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

from pydantic import JsonValue

from agentkit.agent.services import services_for
from agentkit.agent.turn import Turn
from agentkit.events import Event, GenerationFinished, ToolCallFinished, ToolCallStarted
from agentkit.messages import Assistant, ToolCall, ToolResult, text_of, tool_result
from agentkit.models.protocols import Finished, GenerationRequest, Usage
from agentkit.tools import ResultLimits, Tool, ToolContext, run_call


def generate(turn: Turn, request: GenerationRequest) -> Generator[Event, None, Finished]:
    """One generation: replayed if a crashed process finished it, else run and recorded.

    Raises:
        ConstraintUnmet: The token limit came before the call was complete, or a model server wrote something else.
        ContextOverflow: The prompt does not fit.
    """
    recorded = turn.take_recorded_reply()
    if recorded is not None:
        turn.transcript.append(recorded)
        return Finished(recorded, text_of(recorded), "stop", Usage())
    finished = None
    for delta in turn.wiring.generator.generate(request):
        if isinstance(delta, Finished):
            finished = delta
    assert finished is not None, "a generator must end with Finished"
    finished = replace(finished, reply=with_call_ids(turn, finished.reply))
    usage = finished.usage
    turn.tokens_written += usage.generated_tokens
    if finished.reply.calls and finished.finish == "stop":
        # What the limit or a deadline cut is not recorded: a crashed process would find it and run it.
        # Text is recorded with the turn: it is a proposal until it has passed its checks.
        record_calls(turn, finished.reply, usage)
    yield GenerationFinished(
        text=finished.text,
        calls=finished.reply.calls,
        finish=finished.finish,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        generated_tokens=usage.generated_tokens,
        forced_tokens=usage.forced_tokens,
        forward_passes=usage.forward_passes,
        milliseconds=usage.seconds * 1000,
    )
    return finished


def with_call_ids(turn: Turn, reply: Assistant) -> Assistant:
    """The reply with call ids that are unique in the conversation."""
    first = turn.next_sequence()
    calls = tuple(
        call.model_copy(update={"id": f"{turn.turn_id}.{first + i}"}) for i, call in enumerate(reply.calls)
    )
    return reply.model_copy(update={"calls": calls})


def record_calls(turn: Turn, reply: Assistant, usage: Usage) -> None:
    """Make a reply with calls durable before any of them runs."""
    figures: dict[str, JsonValue] = {
        "prompt_tokens": usage.prompt_tokens,
        "generated_tokens": usage.generated_tokens,
        "forced_tokens": usage.forced_tokens,
        "forward_passes": usage.forward_passes,
    }
    turn.store.record_step(turn.turn_id, turn.next_sequence(), reply, figures)
    turn.transcript.append(reply)


def run_tool(turn: Turn, tool: Tool, call: ToolCall) -> Generator[Event, None, ToolResult]:
    """Run one call that the gate allowed, at most once across crashes unless the tool is idempotent."""
    recorded = turn.recorded_result(call)
    if recorded is not None:
        turn.transcript.append(recorded)
        yield ToolCallFinished(result=recorded, status=recorded.status, replayed=True)
        return recorded
    row = turn.journal.get(call.id)
    started_before = row is not None and row.status == "started"
    if started_before and not tool.idempotent:
        result = tool_result(call, "It is not known whether this call took effect.", status="unknown")
        turn.store.resolve_call(turn.turn_id, call.id, result)
        turn.transcript.append(result)
        yield ToolCallFinished(result=result, status=result.status)
        return result
    yield ToolCallStarted(call=call, effect=tool.effect)
    has_effect = tool.effect != "read"
    if has_effect and not started_before:
        turn.store.start_call(turn.turn_id, call, effect=tool.effect, idempotent=tool.idempotent)
    if has_effect:
        turn.started_calls.add(call.id)
    clock = time.perf_counter()
    seconds_left = max(0.001, turn.deadline - time.monotonic())
    result = run_call(
        tool, call, context_for(turn, call), limits=ResultLimits(seconds=min(tool.timeout, seconds_left))
    )
    if has_effect:
        turn.store.finish_call(turn.turn_id, result)
    else:
        turn.store.record_step(turn.turn_id, turn.next_sequence(), result, {})
    turn.transcript.append(result)
    elapsed = (time.perf_counter() - clock) * 1000
    yield ToolCallFinished(result=result, status=result.status, milliseconds=elapsed)
    return result


def refuse_call(turn: Turn, call: ToolCall, reason: str) -> ToolResult:
    """Give a refused call its result, so that every call in the transcript has one."""
    result = tool_result(call, reason, status="refused", trust="system")
    turn.store.record_step(turn.turn_id, turn.next_sequence(), result, {})
    turn.transcript.append(result)
    return result


def context_for(turn: Turn, call: ToolCall | None = None) -> ToolContext:
    """What a tool may know about the turn it runs in; without a call, what a toolset may know that prepares it."""
    profile: Mapping[str, JsonValue] = turn.profile
    return ToolContext(
        user_id=turn.user,
        tenant=turn.tenant,
        conversation_id=turn.conversation_id,
        turn_id=turn.turn_id,
        call_id=call.id if call is not None else "",
        now=turn.wiring.now,
        services=services_for(turn),
        profile=profile,
        cancelled=threading.Event(),
    )


def evidence_texts(results: Sequence[ToolResult]) -> list[str]:
    """What successful calls said, for checking a reply against."""
    return [text_of(result) for result in results if result.status == "ok"]
