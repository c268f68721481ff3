"""Tools in a scenario: one call at a time, and some of them do what its file says: return this, fail, never answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic_core import to_jsonable_python

from agentkit.errors import ToolFailed
from agentkit.scenarios.format import Stub, duration
from agentkit.scenarios.patterns import all_fit
from agentkit.tools import Tool, ToolContext, Toolset

_SLOW_TIMEOUT: Final = 1.0
"""Seconds after which a call of a tool that can be slow is given up: nobody wants to wait for its real timeout."""


class StubbedToolset(Toolset):
    """The tools of another toolset, some of which are played; what a model is told of them stays.

    Args:
        toolset: The other toolset.
        stubs: What the tools do, by name; the first one that fits is taken, and without one the tool itself.
    """

    def __init__(self, toolset: Toolset, stubs: Mapping[str, Sequence[Stub]]) -> None:
        self._toolset = toolset
        self._stubs = stubs
        self._used: Counter[tuple[str, int]] = Counter()
        self._made: dict[Tool, Tool] = {}

    def tools(self) -> Sequence[Tool]:
        """The tools, in the order of the other toolset."""
        return tuple(map(self._standing_in, self._toolset.tools()))

    def prepare(self, context: ToolContext) -> Sequence[Tool]:
        """The tools of one turn, in the order of the other toolset."""
        return tuple(map(self._standing_in, self._toolset.prepare(context)))

    def _standing_in(self, tool: Tool) -> Tool:
        if tool not in self._made:
            # One call at a time, so that results come in the same order in every run.
            alone = replace(tool, sequential=True)
            stubs = self._stubs.get(tool.name)
            self._made[tool] = alone if stubs is None else self._played(alone, stubs)
        return self._made[tool]

    def _played(self, tool: Tool, stubs: Sequence[Stub]) -> Tool:
        def played(context: ToolContext, **arguments: Any) -> Any:
            stub = self._chosen(tool.name, stubs, to_jsonable_python(arguments))
            if stub is not None:
                return _play(stub, context)
            return tool.function(*((context,) if tool.takes_context else ()), **arguments)

        timeout = tool.timeout
        if any(stub.slow for stub in stubs):
            longest = max(duration(stub.takes).total_seconds() if stub.takes else 0.0 for stub in stubs)
            timeout = min(timeout, longest + _SLOW_TIMEOUT)
        return replace(tool, function=played, takes_context=True, isolated=None, timeout=timeout)

    def _chosen(self, name: str, stubs: Sequence[Stub], arguments: Mapping[str, Any]) -> Stub | None:
        for position, stub in enumerate(stubs):
            left = stub.times is None or self._used[name, position] < stub.times
            if left and all_fit(stub.when, arguments):
                self._used[name, position] += 1
                return stub
        return None


def _play(stub: Stub, context: ToolContext) -> Any:
    if stub.takes is not None:
        time.sleep(duration(stub.takes).total_seconds())
    if stub.slow:
        context.cancelled.wait()
    if stub.fails is not None:
        raise ToolFailed(stub.fails)
    if stub.breaks is not None:
        raise ConnectionError(stub.breaks)
    return stub.returns
