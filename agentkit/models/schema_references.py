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


def dangling(document: Any) -> str | None:
    """A `$ref` that points at nothing within the document; None without one.

    Args:
        document: A schema, from its root.
    """
    return min((each for each in _references(document) if referred(each, document) is None), default=None)


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


def endless(document: Any) -> str | None:
    """A `$ref` to something that every value must hold and that must hold itself, so that none ends; None without one.

    Args:
        document: A schema, from its root, without a `circle`.
    """
    ending: set[str] = set()
    references = _references(document)
    while True:
        # What ends without any reference, then what ends given those, until nothing is added.
        more = {each for each in references - ending if _ends(referred(each, document), ending)}
        if not more:
            return None if _ends(document, ending) else min(references - ending)
        ending |= more


def _ends(schema: Any, ending: set[str]) -> bool:
    """Whether some value of `schema` ends, given the references of which some value does."""
    if not isinstance(schema, Mapping):
        return True
    if isinstance(schema.get("$ref"), str) and schema["$ref"] not in ending:
        return False
    lists = {key: schema[key] for key in ("allOf", "anyOf", "oneOf") if isinstance(schema.get(key), list)}
    for key, parts in lists.items():
        each_ends = [_ends(part, ending) for part in parts]
        if not (all(each_ends) if key == "allOf" else any(each_ends) or not parts):
            return False
    return all(_ends(part, ending) for part in _always_inside(schema))


def _always_inside(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas of what is inside of every value of `schema`."""
    members, required, least = (schema.get(key) for key in ("properties", "required", "minItems"))
    if schema.get("type") == "object" and isinstance(members, Mapping) and isinstance(required, list):
        yield from (members.get(name) for name in required if isinstance(name, str))
    if schema.get("type") == "array" and isinstance(least, int) and least > 0:
        yield schema.get("items") if "prefixItems" not in schema else None


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
