"""Running one call: in a thread of its own, for a limited time, with a result whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import threading
import time
from collections.abc import Awaitable
from typing import Any, Final

from agentkit.errors import ToolFailed, ToolRetry
from agentkit.messages import ToolCall, ToolResult, TrustLabel, tool_result
from agentkit.tools.context import ToolContext
from agentkit.tools.definition import Tool
from agentkit.tools.results import NotJson, ResultLimits, bounded_text, text_and_data
from agentkit.tools.validation import validate_arguments

_logger: Final = logging.getLogger("agentkit.tools")
# Tracebacks of tools are for those who set up logging, not for the middle of a conversation on a terminal.
_logger.addHandler(logging.NullHandler())

# On Windows a wait for a lock cannot be interrupted by Ctrl-C, so waiting is done in short pieces.
_SECONDS_PER_WAIT: Final = 0.1


def run_call(
    tool: Tool, call: ToolCall, context: ToolContext, *, limits: ResultLimits | None = None
) -> ToolResult:
    """Run one call and return its result. Never raises, whatever the tool does.

    The tool runs in a daemon thread, an async tool in an event loop of that thread, with the caller's context
    variables. When the time is up the thread is abandoned: `context.cancelled` is set, an async tool is
    cancelled, and what it returns later is dropped. Python cannot stop a thread, so a sync tool that never
    looks at `context.cancelled` goes on until it ends by itself or the process does, which it does not delay.

    The result is labelled `tool` where a trusted tool returned a value or raised `ToolFailed`. Everything
    else is `untrusted`, because messages about arguments repeat what the model wrote.

    Args:
        tool: The tool.
        call: What the model wrote; its arguments are validated here.
        context: Handed to the tool if it asks for it. Every call needs one of its own.
        limits: Bounds of size and time.

    Returns:
        The result with status `ok`, `retry` (the model should call again with other arguments), `failed` or
        `timeout`.

    Raises:
        KeyboardInterrupt: Ctrl-C came while waiting; the call was abandoned like one whose time is up. (What
            another signal handler raises in the waiting thread passes in the same way.)
    """
    limits = limits or ResultLimits()
    seconds = tool.timeout if limits.seconds is None else min(tool.timeout, limits.seconds)
    running = _RunningCall(tool, call, context, limits)
    outcome = None
    try:
        outcome = running.wait(seconds)
    finally:
        if outcome is None:
            running.abandon()
    if outcome is None:
        _logger.warning("the tool %s gave no result within %g s", tool.name, seconds)
        text = f"{tool.name} gave no result within {seconds:g} seconds"
        if tool.effect != "read":
            text += "; it may still take effect"
        return tool_result(call, text, status="timeout", trust="untrusted")
    return outcome


class _RunningCall:
    """One call in its thread. The thread writes `_outcome`, then sets `_done`; after that it is only read."""

    def __init__(self, tool: Tool, call: ToolCall, context: ToolContext, limits: ResultLimits) -> None:
        self._tool = tool
        self._call = call
        self._context = context
        self._limits = limits
        self._done = threading.Event()
        self._outcome: ToolResult | None = None
        self._async_task: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        variables = contextvars.copy_context()
        self._thread = threading.Thread(
            target=variables.run, args=(self._run,), name=f"tool {tool.name}", daemon=True
        )

    def wait(self, seconds: float) -> ToolResult | None:
        """Start, and wait for the result; None when the time is up."""
        try:
            self._thread.start()
        except RuntimeError:
            _logger.exception("no thread for the tool %s", self._tool.name)
            return self._failed(f"{self._tool.name} could not be started", "untrusted")
        end = time.monotonic() + seconds
        while not self._done.is_set():
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._done.wait(min(left, _SECONDS_PER_WAIT))
        return self._outcome

    def abandon(self) -> None:
        """Tell the tool that nobody waits any more."""
        self._context.cancelled.set()
        if self._async_task is not None:
            loop, task = self._async_task
            with contextlib.suppress(RuntimeError):  # the loop was closed between the two lines
                loop.call_soon_threadsafe(task.cancel)

    def _run(self) -> None:
        name = self._tool.name
        label: TrustLabel = "tool" if self._tool.trusted else "untrusted"
        try:
            arguments = validate_arguments(self._tool, self._call.arguments)
            text, data = text_and_data(self._value(arguments), self._limits)
            self._outcome = tool_result(self._call, text, trust=label, data=data)
        except ToolRetry as problem:
            text = bounded_text(str(problem), self._limits.characters)
            self._outcome = tool_result(self._call, text, status="retry", trust="untrusted")
        except ToolFailed as problem:
            self._outcome = self._failed(str(problem), label)
        except NotJson as problem:
            _logger.error("the tool %s returned %s", name, problem)
            self._outcome = self._failed(f"{name} returned what JSON cannot hold: {problem}", "untrusted")
        except BaseException as problem:  # one of the two places: a tool may raise anything
            if not self._context.cancelled.is_set():
                _logger.error("the tool %s raised", name, exc_info=True)
            # The message of the exception stays in the log: it may hold paths, queries or keys.
            self._outcome = self._failed(
                f"{name} failed with an internal error ({type(problem).__name__})", "untrusted"
            )
        finally:
            self._done.set()

    def _value(self, arguments: dict[str, Any]) -> Any:
        values = (self._context,) if self._tool.takes_context else ()
        value = self._tool.function(*values, **arguments)
        if inspect.isawaitable(value):
            return asyncio.run(self._awaited(value))
        return value

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
