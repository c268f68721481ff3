"""What a `$ref` of a JSON Schema points at, inside of its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote


def referred(reference: Any, document: Any) -> Any:
    """What a `$ref` within the document points at; None if there is nothing.

    Args:
        reference: The value of `$ref`.
        document: The schema that it is part of, from its root.
    """
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    target = document
    for step in unquote(reference[1:]).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and name.isdecimal() and int(name) < len(target):
            target = target[int(name)]
        elif isinstance(target, Mapping) and name in target:
            target = target[name]
        else:
            return None
    return target


def circle(document: Any) -> str | None:
    """A `$ref` that leads back to itself without going into a value, so that it says nothing; None without one.

    Args:
        document: A schema, from its root.
    """
    for start in sorted(_references(document)):
        waiting, seen = [referred(start, document)], set[str]()
        while waiting:
            for reference in _references_here(waiting.pop()):
                if reference == start:
                    return start
                if reference not in seen:
                    seen.add(reference)
                    waiting.append(referred(reference, document))
    return None


def _references(part: Any) -> set[str]:
    """All that is referred to anywhere inside of `part`."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        here = waiting.pop()
        if isinstance(here, Mapping):
            if isinstance(here.get("$ref"), str):
                found.add(here["$ref"])
            waiting += here.values()
        elif isinstance(here, list):
            waiting += here
    return found


def _references_here(schema: Any) -> Iterator[str]:
    """What is referred to by schemas that speak of the same value as `schema`."""
    waiting = [schema]
    while waiting:
        here = waiting.pop()
        if not isinstance(here, Mapping):
            continue
        if isinstance(here.get("$ref"), str):
            yield here["$ref"]
        for key in ("allOf", "anyOf", "oneOf"):
            waiting += here[key] if isinstance(here.get(key), list) else []
        waiting += [here[key] for key in ("not", "if", "then", "else") if key in here]
        for key in ("dependentSchemas", "dependencies"):
            waiting += here[key].values() if isinstance(here.get(key), Mapping) else []
