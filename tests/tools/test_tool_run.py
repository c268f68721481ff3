"""A call always has a result, whatever the tool does; only Ctrl-C passes."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from agentkit.errors import ToolFailed, ToolRetry
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.tools import ResultLimits, Tool, ToolContext, run_call, tool


def run(made: Tool, context: ToolContext | None = None, **arguments: Any) -> ToolResult:
    call = ToolCall(id="call-1", name=made.name, arguments=arguments)
    return run_call(made, call, context or ToolContext(user_id="ann"))


def summary(result: ToolResult) -> tuple[str, str, str]:
    return result.status, text_of(result), result.parts[0].trust


@tool(effect="read")
def track(order_id: Annotated[str, Field(pattern=r"^\d{4}$")]) -> dict[str, str]:
    """Track a parcel."""
    return {"order": order_id, "state": "shipped"}


def test_a_call_has_its_result() -> None:
    result = run(track, order_id="1042")
    assert summary(result) == ("ok", '{"order":"1042","state":"shipped"}', "tool")
    assert (result.call_id, result.name, result.data) == (
        "call-1",
        "track",
        {"order": "1042", "state": "shipped"},
    )


def test_an_async_tool_runs_too_even_below_a_running_loop() -> None:
    @tool(effect="read")
    async def wait(context: ToolContext, seconds: float) -> str:
        """Wait."""
        await asyncio.sleep(seconds)
        return context.user_id

    async def outer() -> ToolResult:
        return run(wait, seconds=0.01)

    assert summary(run(wait, seconds=0.01)) == ("ok", "ann", "tool")
    assert summary(asyncio.run(outer())) == ("ok", "ann", "tool")


def test_the_tool_sees_the_context_variables_of_the_caller() -> None:
    request = contextvars.ContextVar("request", default="none")

    @tool(effect="read")
    def look() -> str:
        """Look."""
        seen = request.get()
        request.set("changed by the tool")
        return seen

    request.set("r-1")
    assert text_of(run(look)) == "r-1"
    assert request.get() == "r-1"


def test_wrong_arguments_are_a_reason_to_try_again_and_never_trusted() -> None:
    # What the model wrote is repeated in the message: it must not become trusted text by that.
    assert summary(run(track, order_id="9999999")) == (
        "retry",
        "wrong arguments for track: `order_id`: "
        r'expected a string that matches ^\d{4}$, got the string "9999999"',
        "untrusted",
    )


def test_an_untrusted_tool_says_nothing_trusted() -> None:
    @tool(effect="read", trusted=False)
    def page(fail: bool = False) -> str:
        """Read a page."""
        if fail:
            raise ToolFailed("no such page")
        return "<p>"

    assert summary(run(page)) == ("ok", "<p>", "untrusted")
    assert summary(run(page, fail=True)) == ("failed", "no such page", "untrusted")


def test_tool_retry_and_tool_failed_reach_the_model_as_written() -> None:
    @tool(effect="read")
    def cancel(again: bool) -> str:
        """Cancel."""
        if again:
            raise ToolRetry("say which order")
        raise ToolFailed("order 1042 has been shipped")

    assert summary(run(cancel, again=True)) == ("retry", "say which order", "untrusted")
    assert summary(run(cancel, again=False)) == ("failed", "order 1042 has been shipped", "tool")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    "problem",
    [
        ValueError("secret token 123"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopIteration(1),
        asyncio.CancelledError(),
        MemoryError(),
        ExceptionGroup("several", [OSError("secret path")]),
        BaseException("secret"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_tool_that_raises_fails_without_a_traceback_for_the_model(
    problem: BaseException, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def look() -> None:
        """Look."""
        raise problem

    async def look_async() -> None:
        """Look."""
        raise problem

    made = tool(effect="read", name="look")(look_async if asynchronous else look)
    with caplog.at_level(logging.ERROR, "agentkit.tools"):
        result = run(made)
    # Python itself turns a StopIteration that leaves a coroutine into a RuntimeError.
    turned = asynchronous and isinstance(problem, StopIteration)
    kind = "RuntimeError" if turned else type(problem).__name__
    assert summary(result) == ("failed", f"look failed with an internal error ({kind})", "untrusted")
    assert "Traceback" in caplog.text, "the traceback is in the log"
    assert "look" in caplog.text


def test_a_message_of_ten_megabytes_is_cut() -> None:
    @tool(effect="read")
    def look(retry: bool) -> None:
        """Look."""
        raise (ToolRetry if retry else ToolFailed)("x\x00" * 5_000_000)

    for retry in (True, False):
        text = text_of(run(look, retry=retry))
        assert text.endswith("[9980000 characters left out]")
        assert "\x00" not in text


def test_a_result_that_raises_when_it_is_read_is_a_failure() -> None:
    class Trap(dict[str, int]):
        def items(self) -> Any:
            raise SystemExit("got you")

    @tool(effect="read")
    def look() -> dict[str, int]:
        """Look."""
        return Trap(a=1)

    assert summary(run(look)) == ("failed", "look failed with an internal error (SystemExit)", "untrusted")


def test_a_tool_that_hangs_is_abandoned_and_told_so() -> None:
    ended = threading.Event()

    @tool(timeout=0.05, effect="write")
    def hang(context: ToolContext) -> str:
        """Hang."""
        context.cancelled.wait(20)
        ended.set()
        return "late"

    context = ToolContext(user_id="ann")
    begun = time.monotonic()
    result = run(hang, context)
    assert time.monotonic() - begun < 5
    assert summary(result) == (
        "timeout",
        "hang gave no result within 0.05 seconds; it may still take effect",
        "untrusted",
    )
    assert context.cancelled.is_set()
    assert ended.wait(10), "the tool noticed"
    assert result.status == "timeout", "what it returned later is dropped"


def test_an_async_tool_that_hangs_is_cancelled() -> None:
    cancelled = threading.Event()

    @tool(effect="read", timeout=0.1)
    async def hang() -> None:
        """Hang."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    assert summary(run(hang)) == ("timeout", "hang gave no result within 0.1 seconds", "untrusted")
    assert cancelled.wait(10)


def test_the_caller_may_have_less_time_than_the_tool() -> None:
    @tool(effect="read", timeout=60)
    def hang(context: ToolContext) -> None:
        """Hang."""
        context.cancelled.wait(20)

    call = ToolCall(id="call-1", name="hang")
    result = run_call(hang, call, ToolContext(user_id="ann"), limits=ResultLimits(seconds=0.05))
    assert result.status == "timeout"


def test_a_finished_call_is_not_cancelled() -> None:
    context = ToolContext(user_id="ann")
    assert run(track, context, order_id="1042").status == "ok"
    assert not context.cancelled.is_set()


def python(code: str, folder: Path) -> subprocess.Popen[str]:
    script = folder / "script.py"
    script.write_text(textwrap.dedent(code), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_hung_tool_keeps_no_process_from_ending(tmp_path: Path) -> None:
    process = python(
        """
        import time
        from agentkit.messages import ToolCall
        from agentkit.tools import ToolContext, run_call, tool

        @tool(effect="read", timeout=0.1)
        def hang() -> None:
            "Hang."
            while True:
                time.sleep(1000)

        print(run_call(hang, ToolCall(id="1", name="hang"), ToolContext(user_id="ann")).status)
        """,
        tmp_path,
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "timeout\n", "")


def test_ctrl_c_while_a_tool_runs_reaches_the_caller_and_cancels_the_tool(tmp_path: Path) -> None:
    process = python(
        """
        from agentkit.messages import ToolCall
        from agentkit.tools import ToolContext, run_call, tool

        @tool(effect="read")
        def hang(context: ToolContext) -> None:
            "Hang."
            print("running", flush=True)
            context.cancelled.wait()

        context = ToolContext(user_id="ann")
        try:
            run_call(hang, ToolCall(id="1", name="hang"), context)
        except KeyboardInterrupt:
            print("interrupted", context.cancelled.is_set())
        """,
        tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "interrupted True\n", "")


def test_a_traceback_does_not_show_on_a_terminal_without_logging(tmp_path: Path) -> None:
    process = python(
        """
        from agentkit.messages import ToolCall
        from agentkit.tools import ToolContext, run_call, tool

        @tool(effect="read")
        def look() -> None:
            "Look."
            raise KeyError("secret")

        print(run_call(look, ToolCall(id="1", name="look"), ToolContext(user_id="ann")).status)
        """,
        tmp_path,
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "failed\n", "")


def test_many_calls_at_once_keep_their_own_results() -> None:
    @tool(effect="read")
    def echo(number: int) -> int:
        """Echo."""
        time.sleep(0.001)
        return number

    results: dict[int, Any] = {}

    def work(number: int) -> None:
        results[number] = run(echo, number=number).data

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: number for number in range(50)}
