"""Groups of tools; `wrappers` extends them: `Filtered(Prefixed(shop_tools, "shop_"), is_allowed)`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, runtime_checkable

from agentkit.errors import ToolDefinitionError, ToolRetry
from agentkit.tools.context import ToolContext
from agentkit.tools.definition import Tool

_MOST_NAMES: Final = 20


@runtime_checkable
class Toolset(Protocol):
    """A group of tools with distinct names. Subclass it: `prepare` then has its default."""

    def tools(self) -> Sequence[Tool]:
        """Every tool there is, in an order that stays the same from call to call (prompts are cached by it)."""
        ...

    def prepare(self, context: ToolContext) -> Sequence[Tool]:
        """The tools of one turn: some of `tools`, in the same order. By default all of them.

        Args:
            context: Who the turn is for; its `call_id` is empty.
        """
        return self.tools()


class StaticToolset(Toolset):
    """A fixed list of tools.

    Args:
        tools: Functions decorated with `@tool`.

    Raises:
        ToolDefinitionError: Two of them have one name, or one is no tool.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = tuple(tools)
        _check_distinct(self._tools)

    def tools(self) -> Sequence[Tool]:
        """The tools in the order given."""
        return self._tools

    def get(self, name: str) -> Tool:
        """The tool called `name`; see `get_tool`."""
        return get_tool(self, name)


class Merged(Toolset):
    """Several toolsets as one, in the order given.

    Args:
        toolsets: The toolsets.

    Raises:
        ToolDefinitionError: Two tools have one name (now, or later in `tools` if a toolset changes).
    """

    def __init__(self, *toolsets: Toolset) -> None:
        self._toolsets = toolsets
        self.tools()

    def tools(self) -> Sequence[Tool]:
        """All tools, toolset by toolset."""
        tools = tuple(tool for toolset in self._toolsets for tool in toolset.tools())
        _check_distinct(tools)
        return tools

    def prepare(self, context: ToolContext) -> Sequence[Tool]:
        """The tools of one turn, toolset by toolset."""
        tools = tuple(tool for toolset in self._toolsets for tool in toolset.prepare(context))
        _check_distinct(tools)
        return tools


def get_tool(toolset: Toolset, name: str) -> Tool:
    """The tool that a model called by name.

    Raises:
        ToolRetry: There is none; the message names those that are nearest.
    """
    tools = {tool.name: tool for tool in toolset.tools()}
    if name in tools:
        return tools[name]
    if near := difflib.get_close_matches(name, tools, 3):
        advice = f"did you mean {' or '.join(near)}?"
    elif tools:
        more = " and more" if len(tools) > _MOST_NAMES else ""
        advice = f"the tools are: {', '.join(list(tools)[:_MOST_NAMES])}{more}"
    else:
        advice = "there are no tools, answer in words"
    raise ToolRetry(f"there is no tool {name[:64]!r}, {advice}")


def _check_distinct(tools: Iterable[Tool]) -> None:
    seen: dict[str, Tool] = {}
    for tool in tools:
        if not isinstance(tool, Tool):
            raise ToolDefinitionError(f"{tool!r} is no tool", hint="decorate the function with @tool")
        if other := seen.get(tool.name):
            raise ToolDefinitionError(
                f"two tools are called `{tool.name}`: {other.origin} and {tool.origin}",
                hint='rename one with @tool(name="…") or wrap its toolset in Prefixed',
            )
        seen[tool.name] = tool
