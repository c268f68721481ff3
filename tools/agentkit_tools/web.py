"""Reading pages and services of a few hosts. What they say is of unknown origin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, JsonValue

from agentkit import HttpAccess, StaticToolset, ToolContext, ToolFailed, Toolset, tool


def web_tools(
    hosts: Sequence[str], *, private: bool = False, seconds: float = 20.0, most_bytes: int = 200_000
) -> Toolset:
    """`http_get`, for these hosts.

    Args:
        hosts: `api.example.com`, or with a port, `localhost:8080`. No other host is reached, by a redirect neither.
        private: Whether they may be on this machine or in its private network.
        seconds: Longest time of one request.
        most_bytes: Longest answer.

    Raises:
        ConfigurationError: Something in `hosts` is no host.
    """
    access = HttpAccess(hosts, private=private, seconds=seconds, most_bytes=most_bytes)

    @tool(effect="read", trusted=False, timeout=seconds + 1)
    def http_get(
        context: ToolContext, url: Annotated[str, Field(min_length=1, max_length=2000)]
    ) -> JsonValue:
        """Read a page or ask a service of the web.

        Args:
            url: The whole address, beginning with https://.
        """
        answer = access.request("GET", url, cancelled=context.cancelled)
        if answer.status >= 400:
            raise ToolFailed(f"{answer.url} answers {answer.status}")
        return answer.value()

    return StaticToolset([http_get])
