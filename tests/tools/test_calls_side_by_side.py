"""Several calls of one reply: side by side, barriers, progress, repeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Unpack

import pytest

from agentkit.errors import ToolDefinitionError, ToolFailed
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.tools import (
    CallToRun,
    Progress,
    ResultLimits,
    Starting,
    Tool,
    ToolContext,
    run_call,
    run_calls,
    tool,
)
from agentkit.tools.definition import ToolSettings


def ready(*tools: Tool) -> list[CallToRun]:
    return [
        CallToRun(
            each,
            ToolCall(id=f"c{i}", name=each.name),
            ToolContext(user_id="ada", call_id=f"c{i}"),
            ResultLimits(),
        )
        for i, each in enumerate(tools)
    ]


def results(calls: list[CallToRun], at_once: int = 4) -> dict[str, ToolResult]:
    return {each.call_id: each for each in run_calls(calls, at_once=at_once) if isinstance(each, ToolResult)}


def meeting(people: int) -> Tool:
    """A tool whose calls end only when so many of them run at the same time."""
    barrier = threading.Barrier(people)

    @tool(effect="read", timeout=20)
    def meet() -> str:
        """Wait for the others."""
        barrier.wait(10)
        return "met"

    return meet


def test_calls_run_side_by_side() -> None:
    meet = meeting(3)
    assert {each.status for each in results(ready(meet, meet, meet)).values()} == {"ok"}


def test_no_more_run_at_once_than_are_allowed() -> None:
    running, most = [], []

    @tool(effect="read")
    def count() -> str:
        """Count."""
        running.append(1)
        most.append(len(running))
        time.sleep(0.02)
        running.pop()
        return ""

    results(ready(*[count] * 6), at_once=2)
    assert max(most) == 2


def test_a_sequential_tool_is_a_barrier() -> None:
    order: list[str] = []

    def named(name: str, *, sequential: bool) -> Tool:
        @tool(effect="read", name=name, sequential=sequential)
        def work() -> str:
            """Work."""
            order.append(f"+{name}")
            time.sleep(0.03)
            order.append(f"-{name}")
            return ""

        return work

    first, alone, last = (named(n, sequential=s) for n, s in (("a", False), ("b", True), ("c", False)))
    results(ready(first, alone, last))
    assert order == ["+a", "-a", "+b", "-b", "+c", "-c"]


def test_a_call_is_announced_before_it_starts() -> None:
    started: list[int] = []

    @tool(effect="read")
    def work() -> str:
        """Work."""
        started.append(1)
        return ""

    with closing(run_calls(ready(work))) as news:  # type: ignore[type-var]
        assert next(news) == Starting("c0")
        assert started == []
        assert isinstance(next(news), ToolResult)


def test_one_that_hangs_does_not_hold_up_the_others() -> None:
    @tool(effect="read", timeout=0.2)
    def hang(context: ToolContext) -> str:
        """Hang."""
        context.cancelled.wait(10)
        return ""

    @tool(effect="read")
    def quick() -> str:
        """Be quick."""
        return "done"

    found = results(ready(hang, quick))
    assert (found["c0"].status, found["c1"].status) == ("timeout", "ok")


def test_progress_arrives_while_the_tool_runs() -> None:
    go_on = threading.Event()

    @tool(effect="read")
    def search(context: ToolContext) -> str:
        """Search."""
        context.report("half of it")
        assert go_on.wait(10)
        context.report("all of it")
        return "found"

    said = []
    for news in run_calls(ready(search)):
        if isinstance(news, Progress):
            said.append(news.text)
            go_on.set()
    assert said == ["half of it", "all of it"]


def test_closing_the_iterator_abandons_what_runs() -> None:
    abandoned = threading.Event()

    @tool(effect="read")
    def work(context: ToolContext) -> str:
        """Work."""
        context.report("at it")
        context.cancelled.wait(10)
        abandoned.set()
        return ""

    news: Iterator[object] = run_calls(ready(work))
    assert any(isinstance(each, Progress) for each in (next(news), next(news)))
    news.close()  # type: ignore[attr-defined]
    assert abandoned.wait(5)


def failing(times: int, **settings: Unpack[ToolSettings]) -> tuple[Tool, list[str]]:
    keys: list[str] = []
    settings.setdefault("effect", "read")

    @tool(**settings)
    def flaky(context: ToolContext) -> str:
        """Fail a few times."""
        keys.append(context.idempotency_key)
        if len(keys) <= times:
            raise ConnectionError("no answer")
        return "done"

    return flaky, keys


def test_an_unexpected_error_is_repeated_with_the_same_key_and_growing_pauses() -> None:
    flaky, keys = failing(2, effect="write", idempotent=True, retries=2)
    clock = time.perf_counter()
    result = run_call(flaky, ToolCall(id="c1", name="flaky"), ToolContext(user_id="ada", call_id="c1"))
    assert result.status == "ok"
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert time.perf_counter() - clock >= 0.6


def test_repeats_end_with_the_time_of_the_call() -> None:
    flaky, keys = failing(100, retries=50, timeout=0.5)
    result = run_call(flaky, ToolCall(id="c1", name="flaky"), ToolContext(user_id="ada"))
    assert result.status == "timeout"
    assert len(keys) <= 3


def test_what_a_tool_says_on_purpose_is_not_repeated() -> None:
    made: list[int] = []

    @tool(effect="read", retries=3)
    def closed() -> str:
        """Be closed."""
        made.append(1)
        raise ToolFailed("closed today")

    assert (
        text_of(run_call(closed, ToolCall(id="c", name="closed"), ToolContext(user_id="ada")))
        == "closed today"
    )
    assert made == [1]


def test_a_tool_with_an_effect_may_be_repeated_only_if_it_is_idempotent() -> None:
    with pytest.raises(ToolDefinitionError, match="not idempotent"):

        @tool(effect="write", retries=1)
        def order() -> str:
            """Order."""
            return ""


def test_there_is_no_setting_that_is_not_there() -> None:
    with pytest.raises(TypeError, match="efect"):
        tool(effect="read", efect="write")  # type: ignore[call-overload]
