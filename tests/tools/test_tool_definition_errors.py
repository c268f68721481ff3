"""What cannot become a tool is refused when it is defined, with a message that says what to change."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, Field

from agentkit.errors import ToolDefinitionError
from agentkit.tools import ToolContext, tool

if TYPE_CHECKING:
    from fractions import Fraction


def no_annotation(order_id) -> None:  # type: ignore[no-untyped-def]
    """Look."""


def method_without_self_type(self) -> None:  # type: ignore[no-untyped-def]
    """Look."""


def context_without_type(context, order_id: str) -> None:  # type: ignore[no-untyped-def]
    """Look."""


def any_number(*order_ids: str) -> None:
    """Look."""


def any_names(**options: str) -> None:
    """Look."""


def positional_only(order_id: str, /) -> None:
    """Look."""


def late_context(order_id: str, context: ToolContext) -> None:
    """Look."""


def unknown_in_docstring(order_id: str) -> None:
    """Look.

    Args:
        orderid: The number.
    """


def wrong_default(limit: int = "5") -> None:  # type: ignore[assignment]
    """Look."""


def none_default(note: str = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
    """Look."""


def endless_default(limit: float = float("nan")) -> None:
    """Look."""


class Opaque:
    pass


def unserialisable_default(value: Any = Opaque()) -> None:  # noqa: B008
    """Look."""


def opaque_type(value: Opaque) -> None:
    """Look."""


def callable_type(value: Callable[[int], int]) -> None:
    """Look."""


def types_without_a_form(value: Callable[[int], int] | type) -> None:
    """Look."""


def broken_pattern(value: Annotated[str, Field(pattern="(")]) -> None:
    """Look."""


def hidden_name(value: Fraction) -> None:
    """Look."""


def misspelt_name(value: Strng) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Look."""


def field_as_default(value: int = Field(ge=1)) -> None:
    """Look."""


def default_in_field(value: Annotated[int, Field(default=1)]) -> None:
    """Look."""


def alias_in_field(value: Annotated[int, Field(alias="v")]) -> None:
    """Look."""


def without_docstring(value: int) -> None:
    pass


def only_sections(value: int) -> None:
    """
    Args:
        value: A value.
    """


def generator(value: int) -> Iterator[int]:
    """Look."""
    yield value


async def async_generator(value: int) -> AsyncIterator[int]:
    """Look."""
    yield value


@pytest.mark.parametrize(
    ("function", "words", "hint"),
    [
        (no_annotation, "parameter `order_id` has no type annotation", "annotate it"),
        (method_without_self_type, "parameter `self` has no type annotation", "tool(thing.method)"),
        (context_without_type, "parameter `context` has no type annotation", "ToolContext"),
        (any_number, "parameter `order_ids` takes any number of values", "a list"),
        (any_names, "parameter `options` takes any names", "a dict"),
        (positional_only, "parameter `order_id` is positional-only", "by name"),
        (late_context, "parameter `context` is the context but not the first", "first parameter"),
        (unknown_in_docstring, "describes a parameter `orderid`", "did you mean `order_id`?"),
        (wrong_default, "parameter `limit` has the default '5', which its own type refuses", "default"),
        (none_default, "parameter `note` has the default None", "`str | None`"),
        (endless_default, "parameter `limit` has the default nan, which cannot be written as JSON", "None"),
        (unserialisable_default, "parameter `value` has the default", "JSON"),
        (
            opaque_type,
            "parameter `value` has a type that cannot be written as JSON: Opaque",
            "pydantic model",
        ),
        (callable_type, "parameter `value` has a type that cannot be written as JSON", "pydantic model"),
        (types_without_a_form, "a union: none of its types has a JSON form", "pydantic model"),
        (broken_pattern, "parameter `value` has a type that cannot be written as JSON", ""),
        (hidden_name, "parameter `value` has the annotation `Fraction`", "TYPE_CHECKING"),
        (misspelt_name, "parameter `value` has the annotation `Strng`", "import"),
        (field_as_default, "parameter `value` has `Field(…)` as its default", "Annotated[int, Field(…)]"),
        (default_in_field, "parameter `value` has a default inside `Field`", "in the signature"),
        (alias_in_field, "parameter `value` has an alias inside `Field`", "that name"),
        (without_docstring, "has no description", "docstring"),
        (only_sections, "has no description", "docstring"),
        (generator, "is a generator", "list"),
        (async_generator, "is a generator", "list"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_function_that_cannot_be_a_tool_is_named_with_its_parameter(
    function: Callable[..., Any], words: str, hint: str
) -> None:
    with pytest.raises(ToolDefinitionError) as caught:
        tool(effect="read")(function)
    assert words in caught.value.message
    assert f"{function.__name__} (" in caught.value.message, "names the function"
    assert "test_tool_definition_errors.py:" in caught.value.message, "and its place"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "thing",
    [
        lambda value: value,
        functools.partial(any_names, a="b"),
        Opaque,
        staticmethod(positional_only),
        "text",
        len,
    ],
    ids=["lambda", "partial", "class", "staticmethod", "text", "built-in"],
)
def test_what_is_no_function_is_refused(thing: Any) -> None:
    with pytest.raises(ToolDefinitionError, match=r"no function|lambda"):
        tool(effect="read")(thing)


def test_a_tool_is_not_made_twice() -> None:
    @tool(effect="read")
    def look() -> None:
        """Look."""

    with pytest.raises(ToolDefinitionError, match="already"):
        tool(effect="read")(look)


@pytest.mark.parametrize("name", ["", "two words", "naïve", "x" * 65, "a/b"])
def test_a_name_that_models_cannot_write_is_refused(name: str) -> None:
    with pytest.raises(ToolDefinitionError, match="no name for a tool"):

        @tool(effect="read", name=name)
        def look() -> None:
            """Look."""


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), None, "5", True])
def test_every_tool_has_a_timeout(timeout: Any) -> None:
    with pytest.raises(ToolDefinitionError, match="timeout"):

        @tool(effect="read", timeout=timeout)
        def look() -> None:
            """Look."""


def test_an_unknown_effect_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="no effect 'delete'"):

        @tool(effect="delete")  # type: ignore[call-overload, untyped-decorator]
        def look() -> None:
            """Look."""


def test_a_model_with_a_field_that_json_cannot_hold_is_refused() -> None:
    class Job(BaseModel, arbitrary_types_allowed=True):
        lock: threading.Event

    with pytest.raises(
        ToolDefinitionError, match="parameter `job` has a type that cannot be written as JSON"
    ):

        @tool(effect="read")
        def run(job: Job) -> None:
            """Run."""
