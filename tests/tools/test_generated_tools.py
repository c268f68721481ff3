"""A thousand generated functions: each becomes a tool with a valid schema, or a clear error names the parameter."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import inspect
import json
import typing
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Optional, Union
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from agentkit.errors import ConstraintUnsupported, ToolDefinitionError, ToolRetry
from agentkit.models.schema_check import violations
from agentkit.models.schema_support import enforceable
from agentkit.tools import Authority, Tool, ToolContext, tool, validate_arguments


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Nothing(enum.Enum):
    """An enumeration without members."""


class Address(BaseModel):
    street: str
    number: Annotated[int, Field(ge=1)] = 1


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Ping(BaseModel):
    pong: Pong | None = None


class Pong(BaseModel):
    ping: Ping


class Endless(BaseModel):
    """No value ends."""

    next: Endless


@dataclasses.dataclass
class Size:
    width: float
    height: float = 1.0


class Point(NamedTuple):
    x: int
    y: int


class Row(typing.TypedDict, total=False):
    name: str
    colour: Colour


class Plain:
    """No type that pydantic knows."""


USABLE: Final[Sequence[Any]] = (
    *(str, int, float, bool, type(None), Decimal, date, datetime, time, timedelta, UUID, Path, Any),
    *(
        Colour,
        Level,
        Address,
        Tree,
        Ping,
        Pong,
        Size,
        Point,
        Row,
        list,
        dict,
        set,
        tuple,
        "int",
        "list[Tree]",
    ),
    *(Literal["a", "b"], Literal[1, None, True], Annotated[str, Field(pattern=r"^\d{4}$"), Authority()]),
    *(
        Annotated[str, Field(max_length=3), "a note"],
        Annotated[str, Field(description='say "it"\nin two lines')],
    ),
)
ODD: Final[Sequence[Any]] = (
    *(
        bytes,
        object,
        Nothing,
        Endless,
        Plain,
        complex,
        Callable[[], int],
        ToolContext,
        type,
        range,
        typing.Never,
    ),
    *("NoSuchType", "str |", Annotated[int, Field(ge=5, le=1)], Annotated[int, Field(default=3)]),
    *(
        Annotated[str, Field(alias="x")],
        Annotated[float, Field(allow_inf_nan=True)],
        Annotated[str, Field(pattern="(")],
    ),
)


def of(origin: Any, *parts: Any) -> Any:
    """`origin[parts]`, for types that only exist when this runs."""
    return origin[parts if len(parts) > 1 else parts[0]]


def wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Types made of other types; what Python itself refuses to write is left out."""
    usable = inner.filter(lambda kind: not isinstance(kind, str))

    def made(build: Callable[..., Any], *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        def attempt(values: tuple[Any, ...]) -> Any:
            try:
                return build(*values)
            except TypeError:
                return values[0]

        return st.tuples(*parts).map(attempt)

    return st.one_of(
        made(lambda kind: of(list, kind), usable),
        made(lambda kind: of(set, kind), usable),
        made(lambda kind: of(tuple, kind, ...), usable),
        made(lambda one, two: of(tuple, one, two), usable, usable),
        made(lambda key, kind: of(dict, key, kind), st.sampled_from([str, int, Colour, Plain]), usable),
        made(lambda kind: of(Optional, kind), usable),
        made(lambda one, two: of(Union, one, two), usable, usable),
        made(lambda kind: of(Annotated, kind, Field(description="What it is.")), usable),
        made(lambda kind: of(Annotated, kind, Authority()), usable),
    )


ANNOTATIONS: Final = st.recursive(st.sampled_from(USABLE), wider, max_leaves=4)
ODD_ANNOTATIONS: Final = st.recursive(st.sampled_from([*ODD, *USABLE]), wider, max_leaves=4)
DEFAULTS: Final = st.one_of(
    st.just(inspect.Parameter.empty),
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        [Colour.RED, Address(street="Elm"), Size(1), [], (), {}, set(), Decimal("NaN"), Field(), Plain(), ...]
    ),
)
WITH_DEFAULTS: Final[Sequence[tuple[Any, Any]]] = (
    (int, 5),
    (str, ""),
    (Address | None, None),
    (list[int], []),
    (Colour, Colour.RED),
    (Decimal, Decimal("1.50")),
    (date, date(2026, 11, 27)),
    (Address, Address(street="Elm")),
    (set[str], {"b", "a"}),
    (dict[str, float], {"x": 1.5}),
    (Size, Size(1)),
    (timedelta, timedelta(minutes=90)),
    (Tree, Tree(name="oak", children=[Tree(name="leaf")])),
    (tuple[int, str], (1, "a")),
    (Literal["a", "b"], "b"),
    (float, 2.0),
    (UUID, UUID(int=7)),
    (time, time(9, 30)),
    (datetime, datetime(2026, 11, 27, tzinfo=UTC)),
    (Point, Point(1, 2)),
    (Row, {"name": "x"}),
    (Path, Path("a/b")),
)
ALL_NAMES: Final = ("order_id", "limit", "größe", "self", "context", "title", "x", "type", "properties", "_")
NAMES: Final = st.sampled_from(ALL_NAMES)


@st.composite
def functions(draw: st.DrawFn) -> Callable[..., Any]:
    """A function with a generated signature and docstring; half of them have one kind of oddness."""
    odd = draw(st.sampled_from(["", "", "", "", "", "kinds", "untyped", "types", "defaults", "docstring"]))
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    parameters: list[inspect.Parameter] = []
    for name in names:
        kind: inspect._ParameterKind = inspect.Parameter.KEYWORD_ONLY
        if odd == "kinds":
            kind = draw(st.sampled_from(list(inspect._ParameterKind)))
        variadic = kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if variadic and any(other.kind == kind for other in parameters):
            continue  # Python has no function with two of them
        annotation = draw(ODD_ANNOTATIONS if odd == "types" else ANNOTATIONS)
        default: Any = inspect.Parameter.empty
        if odd == "untyped" and draw(st.booleans()):
            annotation = inspect.Parameter.empty
        if not variadic and odd == "defaults":
            default = draw(DEFAULTS)
        elif not variadic and not isinstance(annotation, str) and draw(st.booleans()):
            annotation, default = draw(st.sampled_from(WITH_DEFAULTS))
        parameters.append(inspect.Parameter(name, kind, default=default, annotation=annotation))
    parameters.sort(key=lambda each: each.kind)
    for place, each in enumerate(parameters[1:], 1):
        # Python refuses a positional parameter without a default after one that has one.
        if (
            each.kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD
            and parameters[place - 1].default is not each.empty
        ):
            parameters[place] = each.replace(default=None)
    described = NAMES if odd == "docstring" or not names else st.sampled_from(names)
    documented = draw(st.lists(described, max_size=2 if names else 0, unique=True))
    lines = [f"    {name}: {draw(st.text('ab (:', max_size=20))}" for name in documented]
    heads = ["Look.", "Look: closely.", "Look.\n\nAnd see."]
    head = draw(st.sampled_from([*heads, "", "Args:\n    x: y"] if odd == "docstring" else heads))

    def function(*args: object, **arguments: object) -> str:
        return json.dumps([len(args), sorted(arguments)])

    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__doc__ = "\n".join([head, "", "Args:", *lines] if lines else [head])
    return function


def attempt(function: Callable[..., Any]) -> Tool | ToolDefinitionError:
    try:
        return tool(effect="read")(function)
    except ToolDefinitionError as refusal:
        return refusal


def check_refusal(refusal: ToolDefinitionError, function: Callable[..., Any]) -> None:
    assert f"{function.__module__}.{function.__qualname__}" in refusal.message
    named = any(f"`{name}`" in refusal.message for name in ALL_NAMES)
    assert named or "has no description" in refusal.message
    assert refusal.hint


def check_schema(made: Tool) -> None:
    schema = made.spec.parameters
    Draft202012Validator.check_schema(json.loads(json.dumps(schema, allow_nan=False)))
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= set(schema["properties"])
    for name, own in schema["properties"].items():
        if "default" in own:
            problems = list(violations(own["default"], own, root=schema))
            assert problems == [], (name, own)


def problem_of(made: Tool) -> str:
    try:
        enforceable(made.spec.parameters, where="tool")
    except ConstraintUnsupported as refusal:
        # What no constraint can hold is refused with its place, when a bot with this tool starts to speak.
        return refusal.message
    return ""


def test_no_generated_function_crashes_the_schema_maker() -> None:
    outcomes: Counter[str] = Counter()

    @settings(
        max_examples=1000, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
    )
    @given(functions())
    def check(function: Callable[..., Any]) -> None:
        made = attempt(function)
        outcomes[type(made).__name__] += 1
        if isinstance(made, ToolDefinitionError):
            check_refusal(made, function)
            return
        check_schema(made)
        outcomes["not enforceable"] += bool(problem_of(made))
        with contextlib.suppress(ToolRetry):
            validate_arguments(made, {"limit": 3, "x": "text"})

    check()
    assert outcomes["Tool"] + outcomes["ToolDefinitionError"] >= 1000
    assert min(outcomes["Tool"], outcomes["ToolDefinitionError"]) >= 200, outcomes
