"""What `@tool` reads from a function: name, description, schema, settings. (Annotations here are strings.)"""

from __future__ import annotations

import dataclasses
import enum
import json
import re
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from llguidance import LLMatcher
from pydantic import BaseModel, Field, NaiveDatetime
from typing_extensions import TypedDict

from agentkit.messages import ToolSpec
from agentkit.tools import Authority, Tool, ToolContext, tool


class Colour(enum.Enum):
    """Of the fabric."""

    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    street: str = Field(description="with house number")
    postcode: Annotated[str, Field(pattern=r"^\d{5}$")]


@dataclasses.dataclass
class Line:
    sku: str
    count: int = 1


class Folder(BaseModel):
    title: str
    folders: list[Folder] = []


class Point(NamedTuple):
    x: float
    y: float


class Window(TypedDict):
    first: date
    last: date


def properties(made: Tool) -> dict[str, Any]:
    result: dict[str, Any] = made.spec.parameters["properties"]
    return result


def test_a_function_becomes_a_tool_that_is_still_the_function() -> None:
    @tool
    def track_parcel(order_id: str, days: int = 3) -> str:
        """Where a parcel is.

        Args:
            order_id: Number on the invoice.
            days: How far to look back.
        """
        return f"{order_id}/{days}"

    assert track_parcel("1042") == "1042/3"
    assert track_parcel.spec == ToolSpec(
        name="track_parcel",
        description="Where a parcel is.",
        parameters={
            "type": "object",
            "properties": {
                "order_id": {"type": "string", "description": "Number on the invoice."},
                "days": {"type": "integer", "description": "How far to look back.", "default": 3},
            },
            "required": ["order_id"],
            "additionalProperties": False,
        },
    )
    assert (track_parcel.idempotent, track_parcel.timeout) == (False, 30.0)
    assert (track_parcel.trusted, track_parcel.sequential, track_parcel.authority) == (
        True,
        False,
        frozenset(),
    )


def test_the_settings_of_the_decorator_are_kept() -> None:
    @tool(effect="egress", idempotent=True, timeout=2, name="mail.send", sequential=True, trusted=False)
    async def send(to: str) -> None:
        """Send a mail."""

    assert send.name == "mail.send"
    assert (send.effect, send.idempotent, send.timeout) == ("egress", True, 2)
    assert (send.sequential, send.trusted) == (True, False)


def test_a_bound_method_becomes_a_tool() -> None:
    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def greet(self, guest: str) -> str:
            """Greet a guest."""
            return f"{self.name}: {guest}"

    greet = tool(effect="read")(Shop("Oak").greet)
    assert greet(guest="Ann") == "Oak: Ann"
    assert list(properties(greet)) == ["guest"]


GOOGLE = """Where a parcel is.

    Only for orders that
    were shipped.

    Args:
        order_id: Number on
            the invoice.
        days (int, optional): How far to look back.

    Returns:
        The place.
    """
NUMPY = """Where a parcel is.

    Only for orders that
    were shipped.

    Parameters
    ----------
    order_id : str
        Number on
        the invoice.
    days : int, optional
        How far to look back.

    Returns
    -------
    str
        The place.
    """
SPHINX = """Where a parcel is.

    Only for orders that
    were shipped.

    :param order_id: Number on
        the invoice.
    :param int days: How far to look back.
    :type order_id: str
    :returns: The place.
    """


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_docstrings_of_three_styles_say_the_same(docstring: str) -> None:
    def track(order_id: str, days: int = 3) -> str:
        return order_id * days

    track.__doc__ = docstring
    made = tool(effect="read")(track)
    assert made.spec.description == "Where a parcel is.\n\nOnly for orders that were shipped."
    assert properties(made)["order_id"]["description"] == "Number on the invoice."
    assert properties(made)["days"]["description"] == "How far to look back."


def test_a_section_without_a_blank_line_before_it_is_still_a_section() -> None:
    @tool(effect="read")
    def track(order_id: str) -> str:
        """Where a parcel is.
        Args:
            order_id: Number on the invoice.
        """
        return order_id

    assert track.spec.description == "Where a parcel is."
    assert properties(track)["order_id"]["description"] == "Number on the invoice."


def test_a_field_description_is_preferred_to_the_docstring_and_that_to_the_class() -> None:
    @tool(effect="read")
    def paint(first: Annotated[Colour, Field(description="in Field")], second: Colour, third: Colour) -> None:
        """Paint it.

        Args:
            first: in the docstring
            second: in the docstring
        """

    described = [properties(paint)[name]["description"] for name in ("first", "second", "third")]
    assert described == ["in Field", "in the docstring", "Of the fabric."]


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (float, {"type": "number"}),
        (Decimal, {"type": "number"}),
        (
            Annotated[Decimal, Field(ge=0, le=100, decimal_places=2)],
            {"type": "number", "minimum": 0.0, "maximum": 100.0},
        ),
        (Annotated[int, Field(gt=0, le=9)], {"type": "integer", "exclusiveMinimum": 0, "maximum": 9}),
        (Annotated[str, Field(pattern="^a$")], {"type": "string", "pattern": "^a$"}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a"], {"type": "string", "const": "a"}),
        (Colour, {"type": "string", "description": "Of the fabric.", "enum": ["red", "blue"]}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (set[str], {"type": "array", "items": {"type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (dict[Colour, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (UUID, {"type": "string", "format": "uuid"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (bytes, {"type": "string"}),
        (Any, {}),
    ],
    ids=str,
)
def test_a_type_has_a_plain_schema(annotation: Any, schema: dict[str, Any]) -> None:
    def look(value: Any) -> None:
        """Look."""

    look.__annotations__["value"] = annotation
    assert properties(tool(effect="read")(look))["value"] == schema


def test_dates_and_times_have_patterns_that_hold_what_the_types_hold() -> None:
    @tool(effect="read")
    def book(day: date, at: time, moment: NaiveDatetime) -> None:
        """Book a table."""

    schemas = properties(book)
    assert schemas["day"]["format"] == "date"
    for name, good, bad in (
        ("day", "2026-11-26", "26.11.2026"),
        ("at", "09:30", "25:00"),
        ("moment", "2026-11-26T09:30", "2026-11-26T09:30:00Z"),
    ):
        matcher = LLMatcher.grammar_from_json_schema(json.dumps(schemas[name]))
        assert LLMatcher.validate_grammar(matcher) == ""
        assert re.fullmatch(schemas[name]["pattern"], good)
        assert not re.fullmatch(schemas[name]["pattern"], bad)


def test_models_are_inlined_and_closed() -> None:
    @tool(effect="read")
    def order(address: Address, lines: list[Line], window: Window, at: Point) -> None:
        """Order something.

        Args:
            address: Where to.
        """

    schemas = properties(order)
    assert schemas["address"] == {
        "type": "object",
        "description": "Where to.",
        "properties": {
            "street": {"type": "string", "description": "with house number"},
            "postcode": {"type": "string", "pattern": r"^\d{5}$"},
        },
        "required": ["street", "postcode"],
        "additionalProperties": False,
    }
    assert schemas["lines"]["items"]["properties"]["count"] == {"type": "integer", "default": 1}
    assert schemas["lines"]["items"]["additionalProperties"] is False
    assert schemas["window"]["required"] == ["first", "last"]
    assert "$defs" not in order.spec.parameters


def test_a_recursive_model_keeps_a_reference_to_a_definition_of_its_own() -> None:
    @tool(effect="read")
    def move(source: Folder, target: Folder | None = None) -> None:
        """Move a folder."""

    parameters = move.spec.parameters
    assert parameters["properties"]["source"] == {"$ref": "#/$defs/source_Folder"}
    assert set(parameters["$defs"]) == {"source_Folder", "target_Folder"}
    folder = parameters["$defs"]["source_Folder"]
    assert folder["properties"]["title"] == {"type": "string"}, "a field called title is no keyword"
    assert folder["properties"]["folders"]["items"] == {"$ref": "#/$defs/source_Folder"}


def test_types_that_are_local_to_the_defining_function_are_found() -> None:
    class Size(enum.Enum):
        SMALL = "s"

    class Sofa(BaseModel):
        size: Size

    @tool(effect="write")
    def sit(sofa: Sofa, sizes: list[Size]) -> None:
        """Sit down."""

    assert properties(sit)["sizes"]["items"] == {"type": "string", "enum": ["s"]}


def test_the_context_is_no_part_of_the_schema() -> None:
    @tool(effect="read")
    def whoami(context: ToolContext, loud: bool = False) -> str:
        """Who is signed in.

        Args:
            context: Given by the agent.
            loud: Shout it.
        """
        return context.user_id.upper() if loud else context.user_id

    assert whoami.takes_context
    assert list(properties(whoami)) == ["loud"]
    assert whoami(ToolContext(user_id="ann")) == "ann"


def test_defaults_are_written_as_json() -> None:
    @tool(effect="read")
    def plan(
        day: date = date(2026, 11, 26),
        colour: Colour = Colour.BLUE,
        price: Decimal = Decimal("1.50"),
        line: Line = Line("a"),  # noqa: B008 - a default is what is tested
        note: str | None = None,
    ) -> None:
        """Plan."""

    defaults = {name: schema["default"] for name, schema in properties(plan).items()}
    assert defaults == {
        "day": "2026-11-26",
        "colour": "blue",
        "price": 1.5,
        "line": {"sku": "a", "count": 1},
        "note": None,
    }
    assert plan.spec.parameters["required"] == []


def test_authority_marks_the_argument_in_schema_and_tool() -> None:
    class Transfer(BaseModel):
        iban: Annotated[str, Authority()]
        text: str

    @tool(effect="write")
    def pay(
        order_id: Annotated[str, Field(pattern=r"^\d{4}$"), Authority()],
        transfer: Transfer,
        colour: Annotated[Colour, Authority],
        note: str = "",
    ) -> None:
        """Pay."""

    assert pay.authority == {"order_id", "transfer", "colour"}
    schemas = properties(pay)
    assert all(schemas[name]["x-agentkit-authority"] is True for name in pay.authority)
    assert schemas["colour"]["enum"] == ["red", "blue"]
    assert schemas["transfer"]["properties"]["iban"] == {"type": "string", "x-agentkit-authority": True}
    assert "x-agentkit-authority" not in schemas["note"]


def test_the_constraint_engine_takes_every_kind_of_schema() -> None:
    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: int = 9

    class Dog(BaseModel):
        kind: Literal["dog"]

    @tool(effect="read")
    def everything(
        address: Address,
        lines: list[Line],
        folder: Folder,
        point: Point,
        colours: set[Colour],
        counts: dict[Colour, int],
        price: Annotated[Decimal, Field(gt=0, decimal_places=2)],
        day: date,
        at: time,
        moment: datetime,
        pet: Annotated[Cat | Dog, Field(discriminator="kind")],
        token: bytes,
        either: int | str | None = None,
        order_id: Annotated[str, Field(pattern=r"^\d{4}$"), Authority()] = "1042",
    ) -> None:
        """Everything at once."""

    grammar = LLMatcher.grammar_from_json_schema(json.dumps(everything.spec.parameters))
    assert LLMatcher.validate_grammar(grammar) == ""
