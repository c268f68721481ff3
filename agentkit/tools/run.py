"""Running calls: each in a thread that it has to itself, for a limited time, with a result whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

from pydantic import JsonValue

from agentkit.errors import ToolFailed, ToolRetry
from agentkit.messages import ToolCall, ToolResult, TrustLabel, tool_result
from agentkit.tools.attachments import FileResult, Table, attached
from agentkit.tools.context import ToolContext
from agentkit.tools.definition import Tool
from agentkit.tools.isolated_run import run_isolated
from agentkit.tools.isolation import IsolatedError
from agentkit.tools.results import NotJson, ResultLimits, bounded_text, text_and_data
from agentkit.tools.threads import run_in_thread
from agentkit.tools.validation import validate_arguments

_logger: Final = logging.getLogger("agentkit.tools")
# Tracebacks of tools are for those who set up logging, not for the middle of a conversation on a terminal.
_logger.addHandler(logging.NullHandler())

# On Windows a wait for a lock cannot be interrupted by Ctrl-C, so waiting is done in short pieces.
_SECONDS_PER_WAIT: Final = 0.1
_FIRST_PAUSE: Final = 0.2
"""Seconds before the first repeat; each further pause is twice as long."""


@dataclass(frozen=True)
class CallToRun:
    """One call, ready to run.

    Args:
        tool: The tool.
        call: What the model wrote; its arguments are validated when it runs.
        context: Handed to the tool if it asks for it. Every call needs one of its own.
        limits: Bounds of size and time.
    """

    tool: Tool
    call: ToolCall
    context: ToolContext
    limits: ResultLimits

    @property
    def seconds(self) -> float:
        """After so long the call is given up."""
        return (
            self.tool.timeout if self.limits.seconds is None else min(self.tool.timeout, self.limits.seconds)
        )


@dataclass(frozen=True)
class Starting:
    """A call that is started as soon as the next item is asked for."""

    call_id: str


@dataclass(frozen=True)
class Progress:
    """What a running tool told of itself with `context.report`."""

    call_id: str
    name: str
    text: str


def run_call(
    tool: Tool, call: ToolCall, context: ToolContext, *, limits: ResultLimits | None = None
) -> ToolResult:
    """Run one call and return its result; see `run_calls`."""
    ready = CallToRun(tool, call, context, limits or ResultLimits())
    return next(each for each in run_calls([ready]) if isinstance(each, ToolResult))


def run_calls(calls: Sequence[CallToRun], *, at_once: int = 4) -> Iterator[Starting | Progress | ToolResult]:
    """Run calls and yield their results as they come. Never raises, whatever a tool does.

    Calls start in their order and run side by side; a `sequential` tool waits for those before it and is waited for.
    Each runs in a daemon thread, an async tool in an event loop of that thread, with the caller's context
    variables. When its time is up the thread is abandoned: `context.cancelled` is set, an async tool is
    cancelled, and what it returns later is dropped. Python cannot stop a thread, so a sync tool that never
    looks at `context.cancelled` goes on until it ends by itself or the process does, which it does not delay.
    (`isolated` tools are killed.)

    A result is labelled `tool` where a trusted tool returned a value or raised `ToolFailed`. Everything
    else is `untrusted`, because messages about arguments repeat what the model wrote.

    Args:
        calls: What to run.
        at_once: Most calls that run side by side.

    Yields:
        That a call is about to start, what tools tell of themselves, and one result for every call with the status
        `ok`, `retry` (the model should call again with other arguments), `failed` or `timeout`. Closing the iterator
        abandons what runs.

    Raises:
        KeyboardInterrupt: Ctrl-C came while waiting; what ran was abandoned like a call whose time is up. (What
            another signal handler raises in the waiting thread passes in the same way.)
    """
    told: SimpleQueue[Progress | _RunningCall] = SimpleQueue()
    waiting = deque(calls)
    running: set[_RunningCall] = set()
    try:
        while waiting or running:
            while waiting and _may_start(waiting[0], running, at_once):
                started = _RunningCall(waiting.popleft(), told)
                yield Starting(started.call_id)
                started.start()
                running.add(started)
            try:
                news = told.get(timeout=_wait(running))
            except Empty:
                news = None
            if isinstance(news, Progress):
                yield news
            elif news in running:
                assert news is not None
                running.discard(news)
                yield news.outcome()
            for late in [each for each in running if each.seconds_left <= 0 and not each.is_done]:
                running.discard(late)
                yield late.given_up()
    finally:
        for each in running:
            each.abandon()


def _may_start(ready: CallToRun, running: Collection[_RunningCall], at_once: int) -> bool:
    if not running:
        return True
    is_barrier = ready.tool.sequential or any(each.is_sequential for each in running)
    return not is_barrier and len(running) < at_once


def _wait(running: Collection[_RunningCall]) -> float:
    return max(0.001, min([_SECONDS_PER_WAIT, *(each.seconds_left for each in running)]))


class _RunningCall:
    """One call in its thread. The thread writes `_outcome`, then tells; after that it is only read."""

    def __init__(self, ready: CallToRun, told: SimpleQueue[Progress | _RunningCall]) -> None:
        self._tool = ready.tool
        self._call = ready.call
        self._told = told
        self._context = replace(ready.context, progress=self._report)
        self._limits = ready.limits
        self._seconds = ready.seconds
        self._end = math.inf
        self._outcome: ToolResult | None = None
        self._async_task: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._variables = contextvars.copy_context()

    @property
    def call_id(self) -> str:
        """The id of the call."""
        return self._call.id

    @property
    def is_sequential(self) -> bool:
        """Nothing may run beside it."""
        return self._tool.sequential

    @property
    def is_done(self) -> bool:
        """Its outcome is there, though perhaps not read yet."""
        return self._outcome is not None

    @property
    def seconds_left(self) -> float:
        """Until it is given up."""
        return self._end - time.monotonic()

    def start(self) -> None:
        """Start the thread; without one the call has failed."""
        self._end = time.monotonic() + self._seconds
        try:
            run_in_thread(partial(self._variables.run, self._run))
        except RuntimeError:
            _logger.exception("no thread for the tool %s", self._tool.name)
            self._outcome = self._failed(f"{self._tool.name} could not be started", "untrusted")
            self._told.put(self)

    def outcome(self) -> ToolResult:
        """The result of a call that is done."""
        assert self._outcome is not None
        return self._outcome

    def given_up(self) -> ToolResult:
        """Abandon the call; its result says so."""
        self.abandon()
        _logger.warning("the tool %s gave no result within %g s", self._tool.name, self._seconds)
        text = f"{self._tool.name} gave no result within {self._seconds:g} seconds"
        if self._tool.effect != "read":
            text += "; it may still take effect"
        return tool_result(self._call, text, status="timeout", trust="untrusted")

    def abandon(self) -> None:
        """Tell the tool that nobody waits any more."""
        self._context.cancelled.set()
        if self._async_task is not None:
            loop, task = self._async_task
            with contextlib.suppress(RuntimeError):  # the loop was closed between the two lines
                loop.call_soon_threadsafe(task.cancel)

    def _report(self, text: str) -> None:
        if not self._context.cancelled.is_set():
            words = bounded_text(text, self._limits.characters)
            self._told.put(Progress(self._call.id, self._tool.name, words))

    def _run(self) -> None:
        for attempt in range(self._tool.retries + 1):
            outcome, may_repeat = self._attempt()
            if not may_repeat or attempt == self._tool.retries:
                break
            # Growing pauses; whoever gives the call up ends them.
            if self._context.cancelled.wait(_FIRST_PAUSE * 2**attempt):
                break
        self._outcome = outcome
        self._told.put(self)

    def _attempt(self) -> tuple[ToolResult, bool]:
        """The result of running the tool once, and whether trying again may help."""
        name = self._tool.name
        label: TrustLabel = "tool" if self._tool.trusted else "untrusted"
        try:
            text, data = self._value()
            return tool_result(self._call, text, trust=label, data=data), False
        except ToolRetry as problem:
            text = bounded_text(str(problem), self._limits.characters)
            return tool_result(self._call, text, status="retry", trust="untrusted"), False
        except ToolFailed as problem:
            return self._failed(str(problem), label), False
        except NotJson as problem:
            _logger.error("the tool %s returned %s", name, problem)
            return self._failed(f"{name} returned what JSON cannot hold: {problem}", "untrusted"), False
        except BaseException as problem:  # one of the two places: a tool may raise anything
            if not self._context.cancelled.is_set():
                _logger.error("the tool %s raised", name, exc_info=True)
            # The message of the exception stays in the log: it may hold paths, queries or keys.
            kind = problem.kind if isinstance(problem, IsolatedError) else type(problem).__name__
            return self._failed(f"{name} failed with an internal error ({kind})", "untrusted"), True

    def _value(self) -> tuple[str, JsonValue]:
        if self._tool.isolated is not None:
            return run_isolated(self._tool, self._call, self._context, self._limits)
        arguments = validate_arguments(self._tool, self._call.arguments)
        values = (self._context,) if self._tool.takes_context else ()
        value = self._tool.function(*values, **arguments)
        if inspect.isawaitable(value):
            value = asyncio.run(self._awaited(value))
        if isinstance(value, FileResult | Table):
            return attached(value, self._context, self._limits)
        return text_and_data(value, self._limits)

    async def _awaited(self, value: Awaitable[Any]) -> Any:
        task = asyncio.ensure_future(value)
        assert isinstance(task, asyncio.Task)
        self._async_task = (asyncio.get_running_loop(), task)
        if self._context.cancelled.is_set():
            task.cancel()
        return await task

    def _failed(self, text: str, trust: TrustLabel) -> ToolResult:
        text = bounded_text(text, self._limits.characters)
        return tool_result(self._call, text, status="failed", trust=trust)
