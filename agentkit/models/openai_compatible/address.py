"""References to models on a server: `http://localhost:11434/v1#qwen2.5`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from agentkit.errors import ModelNotFound


@dataclass(frozen=True)
class ServerAddress:
    """A model on a server.

    Args:
        base: What the paths of the protocol are appended to, without a slash at the end.
        model: The name that the server knows the model by.
        is_local: The server runs on this machine.
    """

    base: str
    model: str
    is_local: bool

    @property
    def reference(self) -> str:
        """What a person writes to name it."""
        return f"{self.base}#{self.model}"


def server_address(reference: str) -> ServerAddress | None:
    """The server and model that a reference names; None if it is no web address.

    Args:
        reference: `http://HOST:PORT/v1#MODEL` or the same with https.

    Raises:
        ModelNotFound: It is a web address, but not one of this form. A password in it is not repeated.
    """
    if not reference.lower().startswith(("http://", "https://")):
        return None
    address, _, model = reference.strip().partition("#")
    try:
        parts = urlsplit(address)
        host = parts.hostname
        _ = parts.port  # raises where it is no number
    except ValueError:
        parts, host = urlsplit(""), None
    wrong = ""
    if not host or parts.query or any(character.isspace() for character in address):
        wrong = "The address of a model server is not written like this."
    elif parts.username is not None or parts.password is not None:
        wrong = f"The address of the model server at {host} holds a user name or password."
    elif not model.strip():
        wrong = f"`{address}` names a server and no model."
    if wrong or host is None:
        raise ModelNotFound(
            wrong,
            hint="Write http://HOST:PORT/v1#MODEL, for example http://localhost:11434/v1#qwen2.5; a key is read "
            "from the environment variable AGENTKIT_API_KEY.",
        )
    return ServerAddress(address.rstrip("/"), model.strip(), _is_local(host))


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
