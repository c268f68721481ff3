"""The two kinds of step: a generation and a tool call. Each is recorded when it ends and never runs again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from pydantic import JsonValue

from agentkit.agent.services import services_for
from agentkit.agent.turn import Turn
from agentkit.events import Event, GenerationFinished, ToolCallFinished, ToolCallStarted, ToolProgress
from agentkit.messages import Assistant, ToolCall, ToolResult, assistant, text_of, tool_result
from agentkit.models.protocols import Finished, GenerationRequest, Usage
from agentkit.store.protocol import JournalRow
from agentkit.tools import (
    FILE_KEY,
    CallToRun,
    Progress,
    ResultLimits,
    Starting,
    Tool,
    ToolContext,
    issue_handles,
    run_calls,
)


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
    for delta in turn.wiring.generator.generate(replace(request, cancel=turn.stop)):
        turn.is_stopped()  # sets `stop` if another process wants it
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


def note(turn: Turn, request: GenerationRequest) -> tuple[str, list[Event]]:
    """One generation whose text nobody reads: what a message means, or other words for a text.

    It is recorded as a step, so that a resumed turn finds the same text; transcripts leave it out.

    Returns:
        The text, empty where it was cut, and the events of it.

    Raises:
        ConstraintUnmet: A model server wrote something else than the constraint allows.
        ContextOverflow: The prompt does not fit.
    """
    recorded = turn.take_recorded_reply()
    if recorded is not None:
        turn.transcript.append(recorded)
        return text_of(recorded), []
    events: list[Event] = []
    running = generate(turn, replace(request, deadline=request.deadline or turn.deadline))
    while True:
        try:
            events.append(next(running))
        except StopIteration as stop:
            finished: Finished = stop.value
            break
    text = finished.text if finished.finish == "stop" else ""
    reply = assistant(text, trust="user")
    turn.store.record_step(turn.turn_id, turn.next_sequence(), reply, {})
    turn.transcript.append(reply)
    return text, events


def with_call_ids(turn: Turn, reply: Assistant) -> Assistant:
    """The reply with call ids that are unique in the conversation."""
    if not reply.calls:
        return reply
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


@dataclass(frozen=True)
class Ready:
    """A call that may run.

    Args:
        tool: The tool.
        written: The call as the generator wrote it: what the journal knows.
        call: What runs: ids in place of handles, and what a person changed.
        approved: A person agreed to it.
    """

    tool: Tool
    written: ToolCall
    call: ToolCall
    approved: bool = False


def run_tools(turn: Turn, ready: Sequence[Ready]) -> Generator[Event, None, dict[str, ToolResult]]:
    """Run calls of one reply, each at most once across crashes unless its tool is idempotent.

    Returns:
        The results by call id.
    """
    by_id = {each.call.id: each for each in ready}
    results: dict[str, ToolResult] = {}
    to_run: list[CallToRun] = []
    for each in ready:
        row = turn.journal.get(each.call.id)
        if row is not None and row.status == "started" and not each.tool.idempotent:
            yield _finished(turn, _settled(turn, row), results, 0.0)
        else:
            limits = ResultLimits(seconds=max(0.001, turn.deadline - time.monotonic()))
            to_run.append(CallToRun(each.tool, each.call, context_for(turn, each.call), limits))
    clocks: dict[str, float] = {}
    at_once = turn.wiring.settings.limits.calls_at_once
    with contextlib.closing(run_calls(to_run, at_once=at_once)) as running:  # type: ignore[type-var]
        for news in running:
            match news:
                case Starting(call_id=call_id):
                    clocks[call_id] = time.perf_counter()
                    each = by_id[call_id]
                    yield ToolCallStarted(call=each.call, effect=each.tool.effect)
                    _journal(turn, each)
                case Progress(call_id=call_id, name=name, text=text):
                    yield ToolProgress(call_id=call_id, name=name, text=text)
                case ToolResult():
                    each = by_id[news.call_id]
                    result = issue_handles(news, {**each.tool.handles, FILE_KEY: "file"}, turn.issued())
                    if each.tool.effect != "read":
                        turn.store.finish_call(turn.turn_id, result)
                    else:
                        turn.store.record_step(turn.turn_id, turn.next_sequence(), result, {})
                    elapsed = (time.perf_counter() - clocks[news.call_id]) * 1000
                    yield _finished(turn, result, results, elapsed)
                case other:
                    assert_never(other)
    return results


def _was_started(turn: Turn, ready: Ready) -> bool:
    row = turn.journal.get(ready.call.id)
    return row is not None and row.status == "started"


def _journal(turn: Turn, ready: Ready) -> None:
    """Make durable that a call is about to run: first that its approval is spent, then that it has started."""
    if ready.approved:
        turn.store.use_approval(turn.turn_id, ready.call.id, ready.call.arguments)
    tool = ready.tool
    if tool.effect != "read":
        if not _was_started(turn, ready):
            turn.store.start_call(turn.turn_id, ready.written, effect=tool.effect, idempotent=tool.idempotent)
        turn.started_calls.add(ready.call.id)


def _finished(turn: Turn, result: ToolResult, results: dict[str, ToolResult], milliseconds: float) -> Event:
    turn.transcript.append(result)
    results[result.call_id] = result
    return ToolCallFinished(result=result, status=result.status, milliseconds=milliseconds)


def _settled(turn: Turn, row: JournalRow) -> ToolResult:
    """The result of a call whose outcome a crash hid: what a person says about it, or that nobody knows."""
    match turn.settle(row):
        case None:
            words = "It is not known whether this call took effect."
            result = tool_result(row.call, words, status="unknown", trust="system")
            turn.store.resolve_call(turn.turn_id, row.call.id, result)
            return result
        case True:
            result = tool_result(row.call, "A person says that this was done.", trust="system")
        case False:
            words = "a person says that this was not done"
            result = tool_result(row.call, words, status="failed", trust="system")
    turn.store.finish_call(turn.turn_id, result)
    return result


def refuse_call(turn: Turn, call: ToolCall, reason: str) -> ToolResult:
    """Give a refused call its result, so that every call in the transcript has one."""
    # Untrusted: the reason repeats what the model wrote, which must not become a source for the next attempt.
    result = tool_result(call, reason, status="refused", trust="untrusted")
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
