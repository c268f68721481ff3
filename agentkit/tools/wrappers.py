"""Toolsets made from other toolsets: filtered, renamed, limited, cached. Each is a few lines; write your own.

A wrapper says what becomes of one tool (`_Wrapper.wrapped`, None leaves it out), so that what is offered
(`tools`), what one turn may use (`prepare`) and their order always agree.
"""

from __future__ import annotations

import inspect
import json
import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from agentkit.errors import ToolDefinitionError, ToolFailed
from agentkit.tools.context import ToolContext
from agentkit.tools.definition import ApprovalRule, Tool
from agentkit.tools.toolsets import Toolset

_MOST_TURNS: Final = 10_000  # whose calls are counted; older turns are over


class _Wrapper(Toolset):
    """The tools of another toolset, each changed or left out."""

    def __init__(self, toolset: Toolset) -> None:
        self._toolset = toolset

    @abstractmethod
    def wrapped(self, tool: Tool) -> Tool | None:
        """What stands for `tool`; None leaves it out."""

    def tools(self) -> Sequence[Tool]:
        """The changed tools, in the order of the other toolset."""
        return self._all(self._toolset.tools())

    def prepare(self, context: ToolContext) -> Sequence[Tool]:
        """The changed tools of one turn, in the order of the other toolset."""
        return self._all(self._toolset.prepare(context))

    def _all(self, tools: Sequence[Tool]) -> tuple[Tool, ...]:
        return tuple(new for tool in tools if (new := self.wrapped(tool)) is not None)


class Filtered(_Wrapper):
    """The tools of another toolset for which a predicate holds; asked anew each time.

    Args:
        toolset: The other toolset.
        predicate: Whether a tool is in.
    """

    def __init__(self, toolset: Toolset, predicate: Callable[[Tool], bool]) -> None:
        super().__init__(toolset)
        self._predicate = predicate

    def wrapped(self, tool: Tool) -> Tool | None:
        """The tool itself, if it is in."""
        return tool if self._predicate(tool) else None


class Prefixed(_Wrapper):
    """The tools of another toolset under longer names, so that two toolsets with one name fit together.

    Args:
        toolset: The other toolset.
        prefix: Put before every name, for example `shop_`.
    """

    def __init__(self, toolset: Toolset, prefix: str) -> None:
        super().__init__(toolset)
        self._prefix = prefix

    def wrapped(self, tool: Tool) -> Tool:
        """The tool under its longer name."""
        return tool.renamed(f"{self._prefix}{tool.name}")


class Renamed(_Wrapper):
    """The tools of another toolset, some of them under other names.

    Args:
        toolset: The other toolset.
        names: New name by old name.

    Raises:
        ToolDefinitionError: An old name that the toolset does not have, or a new one that models cannot write.
    """

    def __init__(self, toolset: Toolset, names: Mapping[str, str]) -> None:
        super().__init__(toolset)
        self._names = dict(names)
        have = [tool.name for tool in toolset.tools()]
        if missing := [name for name in self._names if name not in have]:
            raise ToolDefinitionError(
                f"there is no tool called `{missing[0]}` to rename",
                hint=f"the tools are: {', '.join(have) or 'none'}",
            )
        self.tools()

    def wrapped(self, tool: Tool) -> Tool:
        """The tool under its new name, if it has one."""
        return tool.renamed(self._names[tool.name]) if tool.name in self._names else tool


class Approved(_Wrapper):
    """The tools of another toolset, of which some calls need a person's word.

    The tools are only marked; the agent pauses the turn and asks. A rule of the tool itself stays where this one asks
    for nothing.

    Args:
        toolset: The other toolset.
        approve: True: every call; or a function that is given the arguments and says whether, or why.
        tools: Which tools; by default those with an effect.
    """

    def __init__(
        self,
        toolset: Toolset,
        approve: ApprovalRule = True,
        *,
        tools: Callable[[Tool], bool] = lambda tool: tool.effect != "read",
    ) -> None:
        super().__init__(toolset)
        self._approve = approve
        self._which = tools

    def wrapped(self, tool: Tool) -> Tool:
        """The tool with the mark, if it is one of those."""
        if not self._which(tool) or tool.approve is True:
            return tool
        rules = [rule for rule in (self._approve, tool.approve) if rule is not False]

        def either(arguments: Mapping[str, Any]) -> bool | str:
            said = (rule if isinstance(rule, bool) else rule(arguments) for rule in rules)
            return next((each for each in said if each), False)

        return replace(tool, approve=self._approve if len(rules) == 1 else either)


class Prepared(Toolset):
    """The tools of another toolset that a function chooses for each turn.

    ::

        def for_staff(context: ToolContext, tools: Sequence[Tool]) -> Sequence[Tool]:
            return tools if context.profile.get("staff") else [t for t in tools if t.effect == "read"]

        Prepared(shop_tools, for_staff)

    Args:
        toolset: The other toolset.
        choose: Returns some of the tools that it is given; it cannot add any, and their order stays.
    """

    def __init__(
        self, toolset: Toolset, choose: Callable[[ToolContext, Sequence[Tool]], Sequence[Tool]]
    ) -> None:
        self._toolset = toolset
        self._choose = choose

    def tools(self) -> Sequence[Tool]:
        """All tools of the other toolset."""
        return self._toolset.tools()

    def prepare(self, context: ToolContext) -> Sequence[Tool]:
        """The chosen ones, in the order of the other toolset."""
        tools = self._toolset.prepare(context)
        chosen = {tool.name for tool in self._choose(context, tools)}
        return tuple(tool for tool in tools if tool.name in chosen)


class Limited(_Wrapper):
    """The tools of another toolset, each at most so many times in one turn, and no longer than some seconds.

    Args:
        toolset: The other toolset.
        calls: Most calls of one tool in one turn; a further one fails with a reason. None: no limit.
        seconds: Longest time of one call; a shorter timeout of the tool itself stays.
    """

    def __init__(self, toolset: Toolset, *, calls: int | None = None, seconds: float | None = None) -> None:
        super().__init__(toolset)
        self._calls = calls
        self._seconds = seconds
        self._made: OrderedDict[tuple[str, str, str, str], int] = OrderedDict()
        self._lock = threading.Lock()

    def wrapped(self, tool: Tool) -> Tool:
        """The tool with its limits."""
        if self._seconds is not None:
            tool = replace(tool, timeout=min(tool.timeout, self._seconds))
        if self._calls is None:
            return tool

        def counted(context: ToolContext, /, **arguments: Any) -> Any:
            self._count(tool.name, context)
            return run_plain(tool, context, arguments)

        return replace(tool, function=counted, takes_context=True)

    def _count(self, name: str, context: ToolContext) -> None:
        key = (context.tenant, context.user_id, context.turn_id, name)
        with self._lock:
            made = self._made.get(key, 0)
            if self._calls is not None and made >= self._calls:
                raise ToolFailed(f"{name} was already called {made} times in this turn, which is the limit")
            self._made[key] = made + 1
            self._made.move_to_end(key)
            if len(self._made) > _MOST_TURNS:
                self._made.popitem(last=False)


class Cached(_Wrapper):
    """The tools of another toolset; one that only looks, asked the same again, says the same for a while.

    A tool that takes the context may answer every user differently, so its results are kept for each user.
    Tools with an effect are never cached, failures neither.

    Args:
        toolset: The other toolset.
        seconds: How long a result is kept, by the clock of the context.
        results: Most results kept; the oldest goes first.
    """

    def __init__(self, toolset: Toolset, *, seconds: float, results: int = 1000) -> None:
        super().__init__(toolset)
        self._lifetime = timedelta(seconds=seconds)
        self._most = results
        self._kept: OrderedDict[str, tuple[datetime, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def wrapped(self, tool: Tool) -> Tool:
        """The tool with its memory, if it only looks."""
        if tool.effect != "read":
            return tool

        def remembered(context: ToolContext, /, **arguments: Any) -> Any:
            whose = (context.tenant, context.user_id) if tool.takes_context else ()
            key = json.dumps([tool.name, whose, as_json(tool, arguments)], sort_keys=True)
            now = context.now()
            with self._lock:
                known = self._kept.get(key)
            if known is not None and now - known[0] < self._lifetime:
                return known[1]
            value = run_plain(tool, context, arguments)
            return (
                self._awaited(key, now, value) if inspect.isawaitable(value) else self._keep(key, now, value)
            )

        return replace(tool, function=remembered, takes_context=True)

    async def _awaited(self, key: str, now: datetime, value: Any) -> Any:
        return self._keep(key, now, await value)

    def _keep(self, key: str, now: datetime, value: Any) -> Any:
        with self._lock:
            self._kept[key] = (now, value)
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value


class DryRun(_Wrapper):
    """The tools of another toolset, of which those with an effect only say what they would do.

    Their arguments are checked as always, and whatever asks about an effect (approval, the trace) still sees it.

    Args:
        toolset: The other toolset.
    """

    def wrapped(self, tool: Tool) -> Tool:
        """The tool, or what stands for it if it has an effect."""
        if tool.effect == "read":
            return tool

        def pretended(context: ToolContext, /, **arguments: Any) -> dict[str, Any]:
            return {"dry_run": True, "tool": tool.name, "arguments": as_json(tool, arguments)}

        return replace(tool, function=pretended, takes_context=True)


def run_plain(tool: Tool, context: ToolContext, arguments: Mapping[str, Any]) -> Any:
    """Call the function of `tool` with validated arguments; an async one returns its awaitable.

    For wrappers: their function takes the context whether the tool does or not.
    """
    return tool.function(*((context,) if tool.takes_context else ()), **arguments)


def as_json(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Validated arguments as the JSON that they were written in."""
    adapters = {parameter.name: parameter.adapter for parameter in tool.parameters}
    return {name: adapters[name].dump_python(value, mode="json") for name, value in arguments.items()}
