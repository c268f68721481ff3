"""What `agent.yaml` may say about an HTTP service."""

from __future__ import annotations

from pydantic import Field

from agentkit.messages import Value


class ServiceSettings(Value):
    """One HTTP service that an OpenAPI file describes.

    ::

        services:
          shop:
            openapi: shop.openapi.yaml
            auth: {apiKey: SHOP_KEY}

    Args:
        openapi: The description, a file of the bot folder.
        server: Address of the service; by default the first server of the description. No other host is reached.
        auth: Name of an environment variable by name of a security scheme of the description. It holds the token or
            key, for `basic` the user and the password joined by a colon. A model never sees it.
        tools: The only operations to use, by their ids; empty: all.
        write: Operations that change something although they are asked with GET.
        egress: Operations that send something out of the service, such as mail.
        prefix: Put before the names of its tools; by default the service's name and `_`.
        private: Whether the service may be on this machine or in its private network.
        trusted: Whether its answers are believed, as those of one's own service may be.
        timeout: Seconds for one request.
        most_bytes: Longest answer.
    """

    openapi: str
    server: str = ""
    auth: dict[str, str] = Field(default_factory=dict)
    tools: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    egress: tuple[str, ...] = ()
    prefix: str | None = None
    private: bool = False
    trusted: bool = False
    timeout: float = Field(default=20.0, gt=0)
    most_bytes: int = Field(default=1_000_000, ge=1000)
