"""The operations of an HTTP service as tools of a bot."""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2

from agentkit.errors import ConfigurationError, ToolDefinitionError, ToolFailed, ToolRetry
from agentkit.messages import ToolEffect
from agentkit.remote.foreign_tool import clean_text, foreign_tool, usable_name
from agentkit.remote.openapi.document import Argument, Document, Operation, load_document
from agentkit.remote.openapi.settings import ServiceSettings
from agentkit.remote.safe_http import OWN_HEADERS, HttpAccess, HttpAnswer, allowed_address
from agentkit.tools import Tool, ToolContext, Toolset

_READING: Final = frozenset(("GET", "HEAD"))
_NO_ARGUMENTS: Final = (
    "accept",
    "authorization",
    "content-type",
    "cookie",
)  # as OpenAPI says, and what holds keys
_REPEATABLE: Final = frozenset(("GET", "HEAD", "PUT", "DELETE"))
_MOST_SAID: Final = 500


class ServiceToolset(Toolset):
    """The operations of one HTTP service.

    Only the host of its server is reached. What the service answers is untrusted unless the settings say otherwise.

    Args:
        name: What the bot calls it; its tools are `<name>_<operation>` unless the settings say otherwise.
        settings: Where it is described, and how one is let in.
        folder: The bot folder.

    Raises:
        ConfigurationError: The description cannot be used, has no server, or the server must not be reached.
    """

    def __init__(self, name: str, settings: ServiceSettings, *, folder: Path) -> None:
        self.name = name
        self._settings = settings
        self._document = load_document(folder / settings.openapi)
        self._base = _base(name, settings, self._document)
        port = f":{self._base.port}" if self._base.port else ""
        host = f"[{self._base.host}]" if ":" in self._base.host else self._base.host
        self._access = HttpAccess(
            (f"{host}{port}",),
            private=settings.private,
            seconds=settings.timeout,
            most_bytes=settings.most_bytes,
        )
        self.problems = dict(self._document.problems)
        """Operations that are left out, and why."""
        self._tools = self._made()

    def tools(self) -> Sequence[Tool]:
        """One tool for each operation, in the order of the description."""
        return self._tools

    def _made(self) -> tuple[Tool, ...]:
        made: dict[str, Tool] = {}
        chosen = self._settings.tools
        ids = {operation.id for operation in self._document.operations}
        for lacking in [each for each in chosen if each not in ids]:
            raise ConfigurationError(
                f"The service {self.name} has no operation {lacking!r}.",
                hint=f"It has: {', '.join(sorted(ids)[:20])}.",
            )
        for operation in self._document.operations:
            if chosen and operation.id not in chosen:
                continue
            try:
                tool = self._tool(operation)
            except ToolDefinitionError as problem:
                self.problems[operation.id] = problem.message
                continue
            if tool.name in made:
                self.problems[operation.id] = f"another operation is called {tool.name}, too"
                continue
            made[tool.name] = tool
        return tuple(made.values())

    def _tool(self, operation: Operation) -> Tool:
        keys = self._key_names()
        arguments = [
            each for each in operation.arguments if (each.place, _folded(each.place, each.name)) not in keys
        ]
        schema = {
            "type": "object",
            "properties": {each.name: each.schema for each in arguments},
            "required": [each.name for each in arguments if each.required],
        }
        origin = f"the operation {clean_text(operation.id, 80)} of the service {self.name}"
        credentials = self._credentials(operation, origin)

        def run(context: ToolContext, /, **values: Any) -> Any:
            url, headers, body = _request(self._base, operation, arguments, values)
            extra_headers, extra_query = credentials()
            if extra_query:
                url += ("&" if "?" in url else "?") + urlencode(extra_query)
            answer = self._access.request(
                operation.method,
                url,
                headers={**headers, **extra_headers},
                body=body,
                cancelled=context.cancelled,
            )
            return _value(answer, self.name)

        prefix = f"{self.name}_" if self._settings.prefix is None else self._settings.prefix
        return foreign_tool(
            name=usable_name(f"{prefix}{operation.id}"),
            description=operation.description,
            schema=schema,
            function=run,
            effect=self._effect(operation),
            origin=origin,
            idempotent=operation.method in _REPEATABLE,
            timeout=self._settings.timeout + 1,
            trusted=self._settings.trusted,
        )

    def _effect(self, operation: Operation) -> ToolEffect:
        if operation.id in self._settings.egress:
            return "egress"
        reads = operation.method in _READING and operation.id not in self._settings.write
        return "read" if reads else "write"

    def _key_names(self) -> Collection[tuple[str, str]]:
        """Parameters that no model may fill in: credentials, and what HTTP itself says."""
        return {
            (place, _folded(place, str(scheme.get("name"))))
            for scheme in self._document.schemes.values()
            if scheme.get("type") == "apiKey" and (place := str(scheme.get("in")))
        } | {("header", name) for name in (*_NO_ARGUMENTS, *OWN_HEADERS)}

    def _credentials(
        self, operation: Operation, origin: str
    ) -> Callable[[], tuple[dict[str, str], dict[str, str]]]:
        """What is added to every request, read from the environment when it is sent."""
        if not operation.security or frozenset() in operation.security:
            needed: frozenset[str] = frozenset()
        else:
            known = [each for each in operation.security if each <= self._settings.auth.keys()]
            if not known:
                raise ToolDefinitionError(
                    f"{origin}: it needs {' and '.join(sorted(operation.security[0]))}",
                    hint=f"name the environment variable in `auth` of the service {self.name}",
                )
            needed = known[0]
        for scheme in (self._document.schemes.get(name, {}) for name in needed):
            if scheme.get("type") == "apiKey" and str(scheme.get("name")).lower() in OWN_HEADERS:
                hint = "its author has to choose another name"
                raise ToolDefinitionError(
                    f"{origin}: its key would be the header {scheme['name']}", hint=hint
                )

        def credentials() -> tuple[dict[str, str], dict[str, str]]:
            headers: dict[str, str] = {}
            query: dict[str, str] = {}
            for name in sorted(needed):
                value = os.environ.get(self._settings.auth[name])
                if not value:
                    raise ToolFailed(
                        f"the service {self.name} is not set up: there is no {self._settings.auth[name]}"
                    )
                _let_in(self._document.schemes.get(name, {}), value, headers, query)
            return headers, query

        return credentials


def _folded(place: str, name: str) -> str:
    return name.lower() if place == "header" else name


def _let_in(scheme: Mapping[str, Any], value: str, headers: dict[str, str], query: dict[str, str]) -> None:
    match scheme.get("type"), str(scheme.get("scheme", "")).lower(), scheme.get("in"):
        case "apiKey", _, "header":
            headers[str(scheme["name"])] = value
        case "apiKey", _, "query":
            query[str(scheme["name"])] = value
        case "apiKey", _, _:
            headers["Cookie"] = "; ".join(filter(None, (headers.get("Cookie"), f"{scheme['name']}={value}")))
        case "http", "basic", _:
            headers["Authorization"] = f"Basic {base64.b64encode(value.encode()).decode('ascii')}"
        case _:
            headers["Authorization"] = f"Bearer {value}"


def _base(name: str, settings: ServiceSettings, document: Document) -> httpx2.URL:
    address = settings.server or document.server
    try:
        base = httpx2.URL(address)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        base = httpx2.URL("")
    if base.scheme not in ("http", "https") or not base.host or base.userinfo:
        raise ConfigurationError(
            f"The service {name} has no address that can be reached: {address!r}.",
            hint="Name it in agent.yaml: `server: https://api.example.com`.",
        )
    try:
        number = ipaddress.ip_address(base.host)
    except ValueError:
        return base  # a name: what it stands for is checked at every request
    if not allowed_address(number, private=settings.private):
        raise ConfigurationError(
            f"The service {name} is at {number}, an address that must not be reached.",
            hint="A service of your own network needs `private: true`; link-local addresses are never reached.",
        )
    return base


def _request(
    base: httpx2.URL, operation: Operation, arguments: Sequence[Argument], values: Mapping[str, Any]
) -> tuple[str, dict[str, str], Any]:
    """Address, headers and body of a request."""
    path, query, headers = operation.path, [], {}
    fields: dict[str, Any] = {}
    for argument in arguments:
        if argument.name not in values or (values[argument.name] is None and argument.place != "body"):
            continue
        value = values[argument.name]
        match argument.place:
            case "path":
                path = path.replace(f"{{{argument.name}}}", _segment(argument.name, value))
            case "query":
                query += [
                    (argument.name, _plain(each)) for each in (value if isinstance(value, list) else [value])
                ]
            case "header":
                headers[argument.name] = _plain(value)
            case _:
                fields[argument.name] = value
    address = f"{str(base).rstrip('/')}/{path.lstrip('/')}" + (f"?{urlencode(query)}" if query else "")
    has_body = any(argument.place == "body" for argument in arguments) and operation.method not in _READING
    body = (fields.get("body") if operation.whole_body else fields) if has_body else None
    return address, headers, body


def _segment(name: str, value: Any) -> str:
    text = _plain(value)
    if text in ("", ".", ".."):
        raise ToolRetry(f"`{name}` cannot be {text!r}")
    return quote(text, safe="")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _value(answer: HttpAnswer, name: str) -> Any:
    said = f": {clean_text(answer.text, _MOST_SAID)}" if answer.text else ""
    if answer.status in (400, 422):
        raise ToolRetry(f"the service {name} refuses these arguments{said}")
    if answer.status >= 400:
        raise ToolFailed(f"the service {name} answers {answer.status}{said}")
    return answer.value()
