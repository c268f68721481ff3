"""What `agent.yaml` may say about an MCP server."""

from __future__ import annotations

import os
import re
from typing import Final, Self

from pydantic import Field, model_validator

from agentkit.errors import ConfigurationError
from agentkit.messages import ToolEffect, Value

_EVERY: Final = "*"
_HTTP: Final = re.compile(r"https?://[^/\s]+")


class McpSettings(Value):
    """One MCP server.

    ::

        mcp:
          files:
            command: [npx, -y, "@modelcontextprotocol/server-filesystem", documents]
            read: [read_text_file, list_directory]
          shop:
            url: https://shop.example.com/mcp
            headers: {Authorization: SHOP_TOKEN}

    Args:
        command: Program and arguments of a server that is started here, in the bot folder.
        url: Address of a server that runs elsewhere (streamable HTTP).
        env: Names of environment variables that the started program gets, besides PATH, HOME and the like.
        headers: Header of every request by name; the value is the name of an environment variable.
        tools: The only tools to use; empty: all.
        read: Tools that only look, by the names that the server gives them; `*`: all. The server's own word for it
            is not taken: without this every tool counts as one that sends something out.
        write: Tools that change something, but send nothing out.
        prefix: Put before the names of its tools; by default the server's name and `_`.
        resources: Whether its resources become two more tools, `list_resources` and `read_resource`.
        timeout: Seconds for one call.
        start_timeout: Seconds for starting it.
        message_bytes: Longest message that is accepted from it.
    """

    command: tuple[str, ...] = ()
    url: str = ""
    env: tuple[str, ...] = ()
    headers: dict[str, str] = Field(default_factory=dict)
    tools: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    prefix: str | None = None
    resources: bool = False
    timeout: float = Field(default=30.0, gt=0)
    start_timeout: float = Field(default=60.0, gt=0)
    message_bytes: int = Field(default=4_000_000, ge=10_000)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("name either a `command` that starts the server or its `url`")
        if self.url and not _HTTP.match(self.url):
            raise ValueError("the `url` must begin with http:// or https://")
        if (self.url and self.env) or (self.command and self.headers):
            raise ValueError("`env` belongs to a `command`, `headers` belong to a `url`")
        return self

    @property
    def identity(self) -> str:
        """What makes it this server and no other: its command or its address."""
        return self.url or "\0".join(self.command)

    def effect_of(self, tool: str) -> ToolEffect:
        """The effect of a tool, by the name that the server gives it."""
        if tool in self.read or _EVERY in self.read:
            return "read"
        return "write" if tool in self.write or _EVERY in self.write else "egress"

    def environment(self, server: str) -> dict[str, str]:
        """The variables of `env` with their values.

        Raises:
            ConfigurationError: One of them is not set.
        """
        return {name: _variable(name, server) for name in self.env}

    def header_values(self, server: str) -> dict[str, str]:
        """The headers of every request.

        Raises:
            ConfigurationError: A variable is not set.
        """
        return {header: _variable(name, server) for header, name in self.headers.items()}


def _variable(name: str, server: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigurationError(
            f"The MCP server {server} needs the environment variable {name}, which is not set.",
            hint=f"Set it: export {name}=…",
        )
    return value
