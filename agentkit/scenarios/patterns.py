"""What a scenario expects of one value: the value itself, a pattern, or that it is there at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, JsonValue, Tag, field_validator

from agentkit.messages import Value


class Matching(Value):
    """A value that is text matching a regular expression as a whole, ignoring letter case.

    Args:
        pattern: The expression, in Python's syntax.
    """

    pattern: str = Field(min_length=1)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return compiled(pattern)


def _is_pattern(data: Any) -> str:
    only = isinstance(data, dict) and data.keys() == {"pattern"}
    return "a pattern" if only or isinstance(data, Matching) else "a value"


ExpectedValue: TypeAlias = Annotated[
    Annotated[Matching, Tag("a pattern")] | Annotated[JsonValue, Tag("a value")], Discriminator(_is_pattern)
]
"""A JSON value that must be equal, or a pattern."""


def compiled(pattern: str) -> str:
    """The same pattern, if it is one.

    Raises:
        ValueError: It is no regular expression; says why.
    """
    try:
        re.compile(pattern)
    except re.error as problem:
        raise ValueError(f"is no regular expression: {problem}") from None
    return pattern


def fits(wanted: ExpectedValue, value: JsonValue) -> bool:
    """Whether a value is what is expected; numbers are equal across types, a date may be given as its text."""
    if isinstance(wanted, Matching):
        said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return re.fullmatch(wanted.pattern, said, re.IGNORECASE | re.DOTALL) is not None
    return wanted == value and isinstance(wanted, bool) == isinstance(value, bool)


def all_fit(wanted: Mapping[str, ExpectedValue], values: Mapping[str, JsonValue]) -> bool:
    """Whether every expected name has a fitting value; further values are no matter."""
    return all(name in values and fits(each, values[name]) for name, each in wanted.items())


def shown(wanted: ExpectedValue) -> str:
    """An expected value as a reader sees it: `"1042"`, `/10\\d\\d/`."""
    if isinstance(wanted, Matching):
        return f"/{wanted.pattern}/"
    return json.dumps(wanted, ensure_ascii=False)
