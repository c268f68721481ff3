"""Arguments are checked strictly, and what is wrong is said so that a model can mend it."""

from __future__ import annotations

import enum
import logging
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, JsonValue

from agentkit.errors import ToolRetry
from agentkit.tools import Tool, tool, validate_arguments


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    sku: str
    count: int = 1


def even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even, for example 4")
    return value


def broken(value: int) -> int:
    raise KeyError(value)


@tool(effect="write")
def order(
    order_id: Annotated[str, Field(pattern=r"^\d{4}$", description="order number")],
    lines: list[Line],
    price: Decimal = Decimal(1),
    weight: float = 1.0,
    day: date | None = None,
    at: time = time(9),
    moment: datetime | None = None,
    colour: Colour = Colour.RED,
    size: Literal["s", "m"] = "s",
    limit: Annotated[int, Field(ge=1, le=10)] = 5,
    pairs: Annotated[int, AfterValidator(even)] = 2,
    loud: bool = False,
    either: int | date = 1,
) -> None:
    """Order furniture."""


@tool(effect="read")
def nothing() -> None:
    """Nothing."""


GOOD: dict[str, Any] = {"order_id": "1042", "lines": [{"sku": "oak"}]}


def complaint(made: Tool, arguments: dict[str, Any]) -> str:
    with pytest.raises(ToolRetry) as caught:
        validate_arguments(made, arguments)
    return str(caught.value)


def test_json_becomes_the_types_of_the_signature() -> None:
    written = {
        **GOOD,
        "price": 19.99,
        "weight": 3,
        "day": "2026-11-26",
        "at": "10:30",
        "moment": "2026-11-26T10:30:00Z",
        "colour": "blue",
        "size": "m",
        "either": "2026-11-26",
    }
    values = validate_arguments(order, written)
    assert values["lines"] == [Line(sku="oak", count=1)]
    assert values["price"] == Decimal("19.99"), "the digits written, not a binary fraction"
    assert values["weight"] == 3.0
    assert (values["day"], values["at"]) == (date(2026, 11, 26), time(10, 30))
    assert values["moment"] == datetime.fromisoformat("2026-11-26T10:30:00+00:00")
    assert (values["colour"], values["size"]) == (Colour.BLUE, "m")
    assert values["either"] == date(2026, 11, 26)
    assert "limit" not in values, "a default stays the function's"


def test_values_come_in_the_order_of_the_signature() -> None:
    assert list(validate_arguments(order, {"limit": 3, **GOOD})) == ["order_id", "lines", "limit"]


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("limit", "5", '`limit`: expected an integer of at least 1 and at most 10, got the string "5"'),
        ("limit", 5.0, "`limit`: expected an integer of at least 1 and at most 10, got 5.0"),
        ("limit", True, "`limit`: expected an integer of at least 1 and at most 10, got true"),
        ("limit", 11, "`limit`: should be less than or equal to 10, got 11"),
        ("limit", None, "`limit`: expected an integer of at least 1 and at most 10, got null"),
        ("weight", "heavy", '`weight`: expected a number, got the string "heavy"'),
        ("order_id", 1042, r"`order_id`: expected a string that matches ^\d{4}$, got 1042"),
        ("order_id", "A1", r'`order_id`: expected a string that matches ^\d{4}$, got the string "A1"'),
        (
            "day",
            "26.11.2026",
            "`day`: expected a date (YYYY-MM-DD, for example 2026-11-26) or null, "
            'got the string "26.11.2026"',
        ),
        ("colour", "green", '`colour`: expected one of "red", "blue", got the string "green"'),
        ("size", "xl", '`size`: expected one of "s", "m", got the string "xl"'),
        ("loud", "true", '`loud`: expected true or false, got the string "true"'),
        ("pairs", 3, "`pairs`: must be even, for example 4, got 3"),
        (
            "either",
            "x",
            "`either`: expected an integer or a date (YYYY-MM-DD, for example 2026-11-26), "
            'got the string "x"',
        ),
        ("lines", {}, "`lines`: expected a list, each item an object with the fields sku, count, got {}"),
        ("lines", [{"sku": "a"}, {"count": 2}], "`lines[1].sku`: is missing"),
        (
            "lines",
            [{"sku": "a", "count": "2"}],
            '`lines[0].count`: should be a valid integer, got the string "2"',
        ),
        ("lines", [{"sku": "a", "colour": 1}], "`lines[0].colour`: does not exist, leave it out"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(argument: str, value: Any, message: str) -> None:
    assert complaint(order, {**GOOD, argument: value}) == f"wrong arguments for order: {message}"


def test_a_missing_argument_is_named_with_its_description() -> None:
    assert complaint(order, {"lines": []}) == (
        "wrong arguments for order: `order_id` is missing, "
        r"expected a string that matches ^\d{4}$ (order number)"
    )


def test_an_unknown_argument_is_answered_with_the_nearest_name() -> None:
    assert "no argument `orderid`, did you mean `order_id`?" in complaint(order, {**GOOD, "orderid": "1"})


def test_an_argument_like_no_other_is_answered_with_all_names() -> None:
    assert "no argument `zzz`, the arguments are: order_id, lines, price" in complaint(
        order, {**GOOD, "zzz": 1}
    )
    assert complaint(nothing, {"x": 1}).endswith("no argument `x`, it takes no arguments")


def test_a_message_stays_short_however_much_is_wrong() -> None:
    wrong = dict.fromkeys(("limit", "weight", "loud", "colour", "size"), "x" * 10_000)
    message = complaint(order, {**GOOD, **wrong, "y" * 10_000: 1})
    assert message.count(";") == 3
    assert message.endswith("; and 3 more")
    assert len(message) < 700


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")], object(), b"x"])
def test_what_is_no_json_is_refused(value: Any) -> None:
    assert "`weight` is not JSON: numbers must be finite" in complaint(order, {**GOOD, "weight": value})


def test_broken_text_is_refused() -> None:
    assert "`order_id` holds characters that are not valid" in complaint(
        order, {**GOOD, "order_id": "\ud800"}
    )


def test_endless_nesting_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "`lines` is nested too deeply" in complaint(order, {**GOOD, "lines": deep})


def test_a_validator_that_breaks_is_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    @tool(effect="read")
    def check(value: Annotated[int, AfterValidator(broken)]) -> None:
        """Check."""

    with caplog.at_level(logging.ERROR, "agentkit.tools"):
        assert "`value` could not be checked" in complaint(check, {"value": 1})
    assert "KeyError" in caplog.text


json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("1042"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*(p.name for p in order.parameters), "other"]), json_values))
def test_any_json_is_either_taken_or_answered_with_a_short_message(arguments: dict[str, Any]) -> None:
    said, values = "", arguments
    try:
        values = validate_arguments(order, arguments)
    except ToolRetry as problem:
        said = str(problem)
    assert len(said) < 2000
    assert said.startswith("wrong arguments for order: `") or set(values) == set(arguments)


def test_a_tool_that_does_not_say_what_it_does_is_taken_for_one_with_an_effect() -> None:
    @tool
    def track_parcel(order_id: str) -> str:
        """Where a parcel is."""
        return order_id

    assert track_parcel.effect == "write"
    assert track_parcel.guarded == {"order_id"}
