"""The Jinja environment of prompts: strict about names, closed to Python, bounded in what it makes.

A template is written by the author of the bot. What users, models and tools say goes into it as variables:
a variable is data and never read as a template, so `{{7*7}}` from a user stays as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Sized
from typing import Any, Final

from jinja2 import BaseLoader, StrictUndefined, UndefinedError
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

MOST_CHARACTERS: Final = 200_000
"""Most characters of one rendering: several times the context window of any model that runs on a laptop."""

_MOST_EXPONENT: Final = 1000


class NameNotFound(UndefinedError):
    """A template used a name that does not exist.

    Args:
        message: Jinja's message.
        owner: What was asked for an attribute or item; None if the name is a variable.
        name: The name.
    """

    def __init__(self, message: str | None, *, owner: object | None, name: object) -> None:
        super().__init__(message)
        self.owner = owner
        self.name = name


class _StrictName(StrictUndefined):
    """StrictUndefined whose error keeps the name, so that the nearest ones can be suggested."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc)
        if exc is UndefinedError:
            owner = None if obj is missing else obj
            self._undefined_exception = functools.partial(NameNotFound, owner=owner, name=name)  # type: ignore[assignment]


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """Sandboxed environment; no escaping, because prompts are no HTML.

    Args:
        loader: Finds templates by name, for rendering and for `{% include %}`.
    """

    # `range` is bounded by the sandbox; these two can make much of little as well.
    intercepted_binops = frozenset(("*", "**"))

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader,
            undefined=_StrictName,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
        )

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate `left * right` or `left ** right` if the result is of bearable size."""
        if operator == "**" and (abs(right) > _MOST_EXPONENT or abs(left) > 10**9):
            raise SecurityError("the power is too large")
        if operator == "*":
            for many, number in ((left, right), (right, left)):
                if (
                    isinstance(many, Sized)
                    and isinstance(number, int)
                    and len(many) * number > MOST_CHARACTERS
                ):
                    raise SecurityError(
                        f"the repetition makes more than {MOST_CHARACTERS} characters or items"
                    )
        return super().call_binop(context, operator, left, right)
