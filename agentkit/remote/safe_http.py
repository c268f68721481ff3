"""HTTP for tools: a few named hosts, no way into the private network, bounded in size and time.

An address is looked up once, checked, and connected to as it was checked: a name that means something else a moment
later changes nothing. Proxies of the environment are not used. Redirects are followed by hand, each checked like the
first address.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx2
from pydantic import JsonValue

from agentkit.errors import ConfigurationError, ToolFailed, ToolRetry

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

OWN_HEADERS: Final = frozenset(
    ("host", "accept-encoding", "connection", "content-length", "transfer-encoding", "upgrade")
)
"""Headers that a request has by itself: another host than the one that was checked could be reached with them."""

_MOST_REDIRECTS: Final = 3
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]", re.IGNORECASE)
_TEXT: Final = ("text/", "application/json", "application/xml", "application/yaml", "+json", "+xml")


@dataclass(frozen=True)
class HttpAnswer:
    """What a service answered.

    Args:
        status: The HTTP status.
        content_type: Without its parameters.
        text: The body.
        url: Where it came from in the end.
    """

    status: int
    content_type: str
    text: str
    url: str

    def value(self) -> JsonValue:
        """The body as JSON where it is that, else as text."""
        if self.content_type == "application/json" or self.content_type.endswith("+json"):
            try:
                parsed: JsonValue = json.loads(self.text)
            except (ValueError, RecursionError):
                return self.text
            return parsed
        return self.text


@dataclass(frozen=True)
class HttpAccess:
    """What tools may reach over HTTP.

    Args:
        hosts: Names of hosts, `api.example.com`, or with a port, `localhost:8080`; without one the port is the usual
            one of the scheme. Nothing else is reached, by a redirect neither.
        private: Whether they may be addresses of this machine or of its private network. Link-local addresses, behind
            which clouds keep their credentials, are never reached.
        seconds: Longest time of one request, redirects included.
        most_bytes: Longest answer.

    Raises:
        ConfigurationError: Something in `hosts` is no host.
    """

    hosts: Sequence[str]
    private: bool = False
    seconds: float = 20.0
    most_bytes: int = 1_000_000
    _known: frozenset[str] = field(init=False, repr=False, default=frozenset())

    def __post_init__(self) -> None:
        for host in self.hosts:
            name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "")
            if not _HOST.fullmatch(name) or (port and not 0 < int(port) < 65536):
                raise ConfigurationError(
                    f"{host!r} is no host.", hint="Write the name alone, api.example.com, or with a port."
                )
        object.__setattr__(self, "_known", frozenset(host.lower() for host in self.hosts))

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: JsonValue = None,
        cancelled: threading.Event | None = None,
    ) -> HttpAnswer:
        """Send a request and read the whole answer.

        Args:
            method: Only GET follows redirects.
            url: An address on one of the hosts.
            headers: Without those of `OWN_HEADERS`. Not sent on where a redirect leads to another host, port or scheme.
            body: Sent as JSON, if it is not None.
            cancelled: When it is set, the answer is not read on.

        Raises:
            ToolRetry: The address is none, or its host is not one of those allowed.
            ToolFailed: The host is not reached, its address is private, or its answer is too long or too late.
        """
        end = time.monotonic() + self.seconds
        sent = dict(headers or {})
        first = httpx2.URL("")
        for hop in range(_MOST_REDIRECTS + 1):
            target = self._checked(url)
            first = target if hop == 0 else first
            if (target.scheme, target.netloc) != (first.scheme, first.netloc):
                sent = {}
            answer = self._send(method, target, sent, body, end, cancelled)
            if isinstance(answer, HttpAnswer):
                return answer
            if method != "GET":
                raise ToolFailed(f"{first.host} answers with a redirect, which is only followed for reading")
            url = str(target.join(answer))
        raise ToolFailed(f"{first.host} redirects more than {_MOST_REDIRECTS} times")

    def _checked(self, url: str) -> httpx2.URL:
        try:
            target = httpx2.URL(url)
        except (httpx2.InvalidURL, UnicodeError, ValueError) as problem:
            raise ToolRetry(f"{url[:100]!r} is no address of the web") from problem
        if target.scheme not in _PORTS or not target.host:
            raise ToolRetry(f"{url[:100]!r} does not begin with https:// and a host")
        if target.userinfo:
            raise ToolRetry("an address must not hold a user or a password")
        port = target.port or _PORTS[target.scheme]
        host = f"[{target.host}]" if ":" in target.host else target.host
        usual = port == _PORTS[target.scheme]
        if f"{host}:{port}" not in self._known and not (usual and host in self._known):
            raise ToolRetry(f"the host {host}:{port} is not allowed; these are: {', '.join(self.hosts)}")
        return target

    def _address(self, target: httpx2.URL) -> Address:
        try:
            found = socket.getaddrinfo(
                target.host, target.port or _PORTS[target.scheme], type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as problem:
            raise ToolFailed(f"the host {target.host} is not known") from problem
        addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
        for address in addresses:
            if not allowed_address(address, private=self.private):
                raise ToolFailed(f"the host {target.host} is {address}, an address that must not be reached")
        return addresses[0]

    def _send(
        self,
        method: str,
        target: httpx2.URL,
        headers: Mapping[str, str],
        body: JsonValue,
        end: float,
        cancelled: threading.Event | None,
    ) -> HttpAnswer | str:
        """The answer, or where a redirect leads."""
        address = self._address(target)
        left = max(0.01, end - time.monotonic())
        request = httpx2.Request(
            method,
            target.copy_with(host=str(address)),
            headers={
                **{name: value for name, value in headers.items() if name.lower() not in OWN_HEADERS},
                "Host": target.netloc.decode("ascii"),
                "Accept-Encoding": "identity",
            },
            json=body,
            # The certificate must be that of the name.
            extensions={"sni_hostname": target.host, "timeout": httpx2.Timeout(left).as_dict()},
        )
        try:
            with httpx2.Client(trust_env=False, follow_redirects=False) as client:
                response = client.send(request, stream=True)
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return str(response.headers["location"])
                content = self._body(response, target, end, cancelled)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as problem:
            raise ToolFailed(f"{target.host} did not answer: {type(problem).__name__}") from problem
        kind = str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
        text = (
            content.decode(response.encoding or "utf-8", "replace")
            if _is_text(kind)
            else f"[{kind or 'bytes'}]"
        )
        return HttpAnswer(response.status_code, kind, text, str(target))

    def _body(
        self, response: httpx2.Response, target: httpx2.URL, end: float, cancelled: threading.Event | None
    ) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ToolFailed(f"{target.host} answers compressed, which was not asked for")
        content = bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > self.most_bytes:
                raise ToolFailed(f"the answer of {target.host} is longer than {self.most_bytes} bytes")
            if time.monotonic() > end or (cancelled is not None and cancelled.is_set()):
                raise ToolFailed(f"{target.host} took longer than {self.seconds:g} seconds")
        return bytes(content)


def allowed_address(address: Address, *, private: bool) -> bool:
    """Whether an address may be reached: a public one, or with `private` any but link-local and multicast ones."""
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if inner is not None:
        return allowed_address(inner, private=private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or private


def _is_text(kind: str) -> bool:
    return not kind or kind.startswith(_TEXT) or kind.endswith(_TEXT)
