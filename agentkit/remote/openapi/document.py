"""Reading an OpenAPI file: its operations, with every reference resolved, and nothing endless."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from agentkit.errors import ConfigurationError

_MOST_BYTES: Final = 5_000_000
_MOST_NODES: Final = 3_000
_MOST_DEPTH: Final = 12
_METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
_PLACES: Final = ("path", "query", "header")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Argument:
    """One argument of an operation.

    Args:
        name: What the service calls it.
        place: `path`, `query`, `header` or `body`.
        schema: Its JSON Schema.
        required: It cannot be left out.
    """

    name: str
    place: str
    schema: Any
    required: bool


@dataclass(frozen=True)
class Operation:
    """One operation of a service.

    Args:
        id: Its id, or one made from method and path.
        method: In capitals.
        path: With `{name}` for the arguments in it.
        description: What it does.
        arguments: What it takes.
        whole_body: The body is the value of one argument `body`, not an object of several.
        security: Alternatives, each the schemes that are needed together.
    """

    id: str
    method: str
    path: str
    description: str
    arguments: tuple[Argument, ...]
    whole_body: bool
    security: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class Document:
    """An OpenAPI document.

    Args:
        title: Name of the service.
        server: Address of its first server, perhaps relative; empty if there is none.
        operations: What can be asked of it.
        schemes: Its security schemes.
        problems: Operations that were left out, and why.
    """

    title: str
    server: str
    operations: tuple[Operation, ...]
    schemes: Mapping[str, Mapping[str, Any]]
    problems: dict[str, str] = field(default_factory=dict)


class _Unusable(Exception):
    """An operation cannot be offered; the message says why."""


def load_document(path: Path) -> Document:
    """Read an OpenAPI file (3.0 or 3.1), YAML or JSON.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(
                f"{path} is longer than {_MOST_BYTES} bytes.", hint="Cut it to what is needed."
            )
        content = _parsed(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be read: {problem.strerror}.", hint="Name an OpenAPI file."
        ) from problem
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as problem:
        raise ConfigurationError(
            f"{path} is no YAML or JSON: {str(problem).splitlines()[0]}", hint="Name an OpenAPI file."
        ) from problem
    if not isinstance(content, dict) or not str(content.get("openapi", "")).startswith("3."):
        raise ConfigurationError(
            f"{path} is no OpenAPI 3 description.", hint="It must begin with `openapi: 3.0.3` or a later one."
        )
    return _Reader(content).document()


def _parsed(text: str) -> Any:
    loader = _NoAliases(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _NoAliases(yaml.SafeLoader):
    """YAML without aliases, through which a short file can describe a document without end."""

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (`*name`) are not allowed")
        return super().compose_node(parent, index)


class _Reader:
    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content
        self._nodes = 0

    def document(self) -> Document:
        problems: dict[str, str] = {}
        operations: dict[str, Operation] = {}
        for name, method, path, node, shared in self._all():
            self._nodes = 0
            try:
                operation = self._operation(name, method, path, node, shared)
            except _Unusable as problem:
                problems[name] = str(problem)
                continue
            if name in operations:
                problems[name] = "there are two operations of this id"
                continue
            operations[name] = operation
        schemes = self._at("components", "securitySchemes")
        return Document(
            title=str(self._at("info").get("title", "")),
            server=self._server(),
            operations=tuple(operations.values()),
            schemes={name: each for name, each in schemes.items() if isinstance(each, dict)},
            problems=problems,
        )

    def _all(self) -> Iterator[tuple[str, str, str, dict[str, Any], list[Any]]]:
        for path, item in self._at("paths").items():
            if not isinstance(item, dict):
                continue
            for method in _METHODS:
                node = item.get(method)
                if isinstance(node, dict):
                    made = re.sub(r"[\W_]+", "_", f"{method}_{path}").strip("_")
                    shared = item.get("parameters")
                    yield str(node.get("operationId") or made), method, str(path), node, _list(shared)

    def _operation(
        self, name: str, method: str, path: str, node: dict[str, Any], shared: list[Any]
    ) -> Operation:
        arguments: dict[tuple[str, str], Argument] = {}
        for each in (*shared, *_list(node.get("parameters"))):
            argument = self._argument(self._resolved(each))
            if argument is not None:
                arguments[argument.name, argument.place] = argument
        body, whole = self._body(self._resolved(node.get("requestBody") or {}))
        found = (*arguments.values(), *body)
        names = [argument.name for argument in found]
        if twice := {each for each in names if names.count(each) > 1}:
            raise _Unusable(f"two arguments are called {sorted(twice)[0]}")
        in_path = {argument.name for argument in found if argument.place == "path"}
        if lacking := set(_PLACEHOLDER.findall(path)) - in_path:
            raise _Unusable(f"the path names {sorted(lacking)[0]}, which nothing describes")
        security = node.get("security", self._content.get("security"))
        return Operation(
            id=name,
            method=method.upper(),
            path=path,
            description=" ".join(str(node[key]) for key in ("summary", "description") if node.get(key)),
            arguments=found,
            whole_body=whole,
            security=tuple(frozenset(each) for each in _list(security) if isinstance(each, dict)),
        )

    def _argument(self, node: dict[str, Any]) -> Argument | None:
        name, place = str(node.get("name", "")), str(node.get("in", ""))
        if place not in _PLACES or not name:
            if node.get("required"):
                raise _Unusable(f"it needs {name or 'a parameter'} in {place or 'no place'}")
            return None
        if "schema" not in node and node.get("required"):
            raise _Unusable(f"nothing says what {name} may be")
        schema = self._inlined(node.get("schema", {}), ())
        if isinstance(schema, dict) and node.get("description"):
            schema = {"description": node["description"], **schema}
        return Argument(name, place, schema, place == "path" or node.get("required") is True)

    def _body(self, node: dict[str, Any]) -> tuple[list[Argument], bool]:
        content = node.get("content")
        if not isinstance(content, dict):
            return [], False
        kind = next(
            (each for each in content if str(each).partition(";")[0].strip() == "application/json"), None
        )
        required = node.get("required") is True
        if kind is None:
            if required:
                raise _Unusable(f"its body is {', '.join(map(str, content)) or 'of no kind'}, not JSON")
            return [], False
        schema = self._inlined(self._resolved(content[kind]).get("schema", {}), ())
        fields = schema.get("properties") if isinstance(schema, dict) else None
        if isinstance(fields, dict) and fields and schema.get("type", "object") == "object":
            needed = _list(schema.get("required")) if required else []
            return [Argument(str(name), "body", each, name in needed) for name, each in fields.items()], False
        return [Argument("body", "body", schema, required)], True

    def _inlined(self, node: Any, above: tuple[str, ...]) -> Any:
        """A schema with its references put in; where one leads back to itself anything is allowed."""
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise _Unusable("its schema is too large")
        if isinstance(node, list):
            return [self._inlined(each, above) for each in node]
        if not isinstance(node, dict):
            return node
        if isinstance(reference := node.get("$ref"), str):
            if reference in above or len(above) >= _MOST_DEPTH:
                return {}
            return self._inlined(self._resolved(node), (*above, reference))
        result = {key: self._inlined(each, above) for key, each in node.items()}
        if result.get("nullable") is True and isinstance(result.get("type"), str):
            inner = {key: each for key, each in result.items() if key not in ("description", "nullable")}
            return {k: result[k] for k in ("description",) if k in result} | {
                "anyOf": [inner, {"type": "null"}]
            }
        return result

    def _resolved(self, node: Any) -> dict[str, Any]:
        """A node, or what it refers to."""
        for _ in range(_MOST_DEPTH):
            if not isinstance(node, dict):
                raise _Unusable(f"there is {type(node).__name__} where a description belongs")
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return node
            if not reference.startswith("#/"):
                raise _Unusable(f"it refers to {reference[:100]!r}, outside the file")
            node = self._content
            for step in reference[2:].split("/"):
                name = step.replace("~1", "/").replace("~0", "~")
                if not isinstance(node, dict) or name not in node:
                    raise _Unusable(f"it refers to {reference[:100]!r}, which is not there")
                node = node[name]
        raise _Unusable("its references lead in a circle")

    def _at(self, *steps: str) -> dict[str, Any]:
        node: Any = self._content
        for step in steps:
            node = node.get(step, {}) if isinstance(node, dict) else {}
        return node if isinstance(node, dict) else {}

    def _server(self) -> str:
        servers = _list(self._content.get("servers"))
        if not servers or not isinstance(servers[0], dict):
            return ""
        variables = servers[0].get("variables")
        known = variables if isinstance(variables, dict) else {}

        def default(match: re.Match[str]) -> str:
            variable = known.get(match[1])
            return str(variable.get("default", "")) if isinstance(variable, dict) else ""

        return _PLACEHOLDER.sub(default, str(servers[0].get("url", "")))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
