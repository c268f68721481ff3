"""The tools of an MCP server as tools of a bot."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentkit.errors import ConfigurationError, ToolDefinitionError, ToolFailed, ToolServerError
from agentkit.messages import Assistant, Message, Part, User
from agentkit.remote.foreign_tool import clean_text, foreign_tool, usable_name
from agentkit.remote.mcp.pins import Pins, fingerprint
from agentkit.remote.mcp.settings import McpSettings
from agentkit.tools import Tool, ToolContext, Toolset

if TYPE_CHECKING:
    import mcp_types as types

    from agentkit.remote.mcp.connection import Connection

_logger: Final = logging.getLogger("agentkit.remote")
_logger.addHandler(logging.NullHandler())
_SECONDS_BEFORE_RETRY: Final = 30.0
_MOST_LISTED: Final = 100
_MOST_SAID: Final = 200
_OFF: Final = {
    "changed": "says something else of itself than what was accepted",
    "new": "was not there when the server's tools were accepted",
}


class McpToolset(Toolset):
    """The tools of one MCP server; they may come, change and go while a bot talks.

    What the server says is of unknown origin: results are labelled `untrusted`, and descriptions are cleaned and cut.
    A tool that changed since it was accepted is switched off, and so is one that is called like one of ours.

    Args:
        name: What the bot calls the server; its tools are `<name>_<tool>` unless the settings say otherwise.
        settings: How it is reached, and what its tools may do.
        folder: The bot folder, where a `command` is started.
        pins: What was accepted.
        taken: Names that its tools must not have, as they are now.
    """

    def __init__(
        self,
        name: str,
        settings: McpSettings,
        *,
        folder: Path | None = None,
        pins: Pins | None = None,
        taken: Callable[[], Collection[str]] = lambda: (),
    ) -> None:
        self.name = name
        self._settings = settings
        self._folder = folder
        self._pins = pins or Pins()
        self._taken = taken
        self._lock = threading.Lock()
        self._connected: Connection | None = None
        self._is_stale = True
        self._wait_until = 0.0
        self._tools: tuple[Tool, ...] = ()
        self._problems: dict[str, str] = {}
        self._seen: dict[str, str] = {}

    @property
    def prefix(self) -> str:
        """What the names of its tools begin with."""
        return f"{self.name}_" if self._settings.prefix is None else self._settings.prefix

    @property
    def connection(self) -> Connection:
        """The connection; made, not yet opened, at first use.

        Raises:
            ConfigurationError: The MCP SDK is not installed.
        """
        if self._connected is None:
            try:
                from agentkit.remote.mcp.connection import Connection
            except ModuleNotFoundError as problem:
                raise ConfigurationError(
                    f"The MCP server {self.name} needs the MCP SDK ({problem}).",
                    hint="pip install 'agentkit-local[mcp]'",
                ) from problem
            self._connected = Connection(self.name, self._settings, self._folder, self._note_change)
        return self._connected

    def tools(self) -> Sequence[Tool]:
        """The tools that can be used now, in the server's order; none while it cannot be reached."""
        with self._lock:
            if self._is_stale and time.monotonic() >= self._wait_until:
                self._refresh()
            taken = frozenset(self._taken())
            return tuple(tool for tool in self._tools if tool.name not in taken)

    @property
    def problems(self) -> dict[str, str]:
        """What is switched off and why, by the server's name for it; the key is empty for the server itself."""
        self.tools()
        hidden = {tool.name for tool in self._tools} & set(self._taken())
        return self._problems | {name: f"{name}: there is another tool called {name}" for name in hidden}

    def accept(self, names: Collection[str] | None = None) -> list[str]:
        """Accept tools as they are now and return their names.

        Args:
            names: By the server's names; None: all.
        """
        self.tools()
        accepted = {n: seen for n, seen in self._seen.items() if names is None or n in names}
        if accepted:  # of a server that does not answer nothing is known, and nothing is accepted
            self._pins.accept(self._settings.identity, accepted)
        self._is_stale = True
        return list(accepted)

    def prompts(self) -> dict[str, str]:
        """The prompts that the server offers: description by name.

        Raises:
            ToolServerError: It does not answer.
        """
        found = self.connection.ask(lambda client: client.list_prompts(), "list its prompts")
        return {each.name: clean_text(each.description, _MOST_SAID) for each in found.prompts[:_MOST_LISTED]}

    def prompt(self, name: str, arguments: Mapping[str, str] | None = None) -> tuple[Message, ...]:
        """A prompt of the server as messages to begin a conversation with; every part is untrusted.

        Raises:
            ToolServerError: It has none of this name, or does not answer.
        """
        given = dict(arguments or {})
        found = self.connection.ask(lambda client: client.get_prompt(name, given), "give a prompt")
        return tuple(_message(each.role, _text(each.content)) for each in found.messages)

    def close(self) -> None:
        """Stop the server, or leave it."""
        if self._connected is not None:
            self._connected.close()

    def _note_change(self) -> None:
        self._is_stale = True

    def _refresh(self) -> None:
        self._is_stale = False
        try:
            offered = self.connection.tools()
        except ToolServerError as failure:
            # A bot talks on without a server that is down, and looks again later.
            _logger.warning("%s", failure.message)
            self._tools, self._problems, self._seen = (), {"": failure.message}, {}
            self._is_stale, self._wait_until = True, time.monotonic() + _SECONDS_BEFORE_RETRY
            return
        wanted = [each for each in offered if not self._settings.tools or each.name in self._settings.tools]
        self._seen = {
            each.name: fingerprint(each.name, each.description, each.input_schema) for each in wanted
        }
        off = self._pins.judge(self._settings.identity, self._seen)
        self._problems = {name: f"{name} {_OFF[why]}" for name, why in off.items()}
        self._problems |= {
            name: f"there is no tool called {name}" for name in self._settings.tools if name not in self._seen
        }
        made: dict[str, Tool] = {}
        for each in wanted:
            if each.name not in off:
                self._add(each, made)
        if self._settings.resources:
            made |= {
                tool.name: tool
                for tool in _resource_tools(self.name, self._asked, self._made)
                if tool.name not in made
            }
        for why_off in self._problems.values():
            _logger.warning("MCP server %s: %s", self.name, why_off)
        self._tools = tuple(made.values())

    def _add(self, offered: types.Tool, made: dict[str, Tool]) -> None:
        try:
            tool = self._tool(offered)
        except ToolDefinitionError as problem:
            self._problems[offered.name] = problem.message
            return
        if tool.name in made:
            self._problems[offered.name] = f"{offered.name}: there is another tool called {tool.name}"
            return
        made[tool.name] = tool

    def _tool(self, offered: types.Tool) -> Tool:
        def run(context: ToolContext, /, **arguments: Any) -> Any:
            try:
                self.connection.open(context.cancelled)
                self._check(offered.name)
                result = self.connection.call(
                    offered.name,
                    arguments,
                    seconds=self._settings.timeout,
                    cancelled=context.cancelled,
                    report=context.report,
                )
            except ToolServerError as problem:
                raise ToolFailed(problem.message) from problem
            return _value(result)

        return self._made(offered.name, offered.description or "", offered.input_schema, run)

    def _check(self, name: str) -> None:
        """Refuse a tool that is not any more what was accepted: its server was started anew, or has just said so."""
        self.tools()
        if name in self._problems or name not in self._seen:
            gone = self._problems.get("", f"the server {self.name} has no tool called {name} any more")
            raise ToolFailed(self._problems.get(name, gone))

    def _made(self, name: str, description: str, schema: Any, run: Any) -> Tool:
        return foreign_tool(
            name=usable_name(f"{self.prefix}{name}"),
            description=description,
            schema=schema,
            function=run,
            effect=self._settings.effect_of(name),
            origin=f"the tool {clean_text(name, 80)} of the MCP server {self.name}",
            timeout=self._settings.timeout + self._settings.start_timeout,
        )

    def _asked(self, context: ToolContext, question: Any) -> Any:
        try:
            return self.connection.ask(question, "give its resources", cancelled=context.cancelled)
        except ToolServerError as problem:
            raise ToolFailed(problem.message) from problem


def _resource_tools(
    server: str, asked: Callable[[ToolContext, Any], Any], made: Callable[[str, str, Any, Any], Tool]
) -> Sequence[Tool]:
    """Tools that list and read the resources of a server.

    Args:
        server: Its name.
        asked: Asks it.
        made: Makes a tool of name, description, schema and function.
    """

    def list_resources(context: ToolContext, /) -> Any:
        listed = asked(context, lambda client: client.list_resources()).resources[:_MOST_LISTED]
        return [
            {"uri": each.uri, "name": each.name, "description": clean_text(each.description, 200)}
            for each in listed
        ]

    def read_resource(context: ToolContext, /, uri: str) -> str:
        found = asked(context, lambda client: client.read_resource(uri))
        return "\n".join(getattr(each, "text", f"[{each.mime_type}]") for each in found.contents)

    one = {"type": "object", "properties": {"uri": {"type": "string"}}, "required": ["uri"]}
    return (
        made("list_resources", f"List what can be read from {server}.", {}, list_resources),
        made("read_resource", f"Read one of the resources of {server}.", one, read_resource),
    )


def _message(role: str, text: str) -> Message:
    parts = (Part(text=text, trust="untrusted"),)
    return User(parts=parts) if role == "user" else Assistant(parts=parts)


def _value(result: types.CallToolResult) -> Any:
    """What a tool returned, as JSON where the server gives it, else as text; raises what the server calls an error."""
    text = "\n".join(_text(block) for block in result.content)
    if result.is_error:
        raise ToolFailed(text or "it failed without a word")
    return result.structured_content if result.structured_content is not None else text


def _text(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type}, {block.mime_type}]"
        case "resource":
            return str(getattr(block.resource, "text", f"[{block.resource.uri}]"))
        case "resource_link":
            return f"{block.name}: {block.uri}"
        case _:
            return f"[{block.type}]"
