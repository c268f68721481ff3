"""What a tool returns, as text for the model and as JSON for templates."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, JsonValue, RootModel

from agentkit.messages import ToolCall, ToolResult, dump_message, load_message, text_of
from agentkit.tools import ResultLimits, ToolContext, run_call, tool


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Order(BaseModel):
    number: str
    day: date
    price: Decimal
    colour: Colour = Colour.RED


class Reading(BaseModel):
    value: float


class Numbers(RootModel[list[int]]):
    pass


@dataclasses.dataclass
class Parcel:
    order: Order
    weight: float


class Point(NamedTuple):
    x: int
    y: int


def returned(make: Callable[[], Any], limits: ResultLimits | None = None) -> ToolResult:
    @tool(effect="read")
    def give() -> Any:
        """Give it."""
        return make()

    result = run_call(give, ToolCall(id="call-1", name="give"), ToolContext(user_id="ann"), limits=limits)
    assert load_message(dump_message(result)) == result, "the store can hold it"
    return result


ORDER = Order(number="1042", day=date(2026, 11, 26), price=Decimal("19.90"))
ORDER_JSON: JsonValue = {"number": "1042", "day": "2026-11-26", "price": "19.90", "colour": "red"}


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2.5, 2.5),
        ([1, "a", None], [1, "a", None]),
        ((1, 2), [1, 2]),
        (Point(1, 2), [1, 2]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        ({1: "a", date(2026, 1, 2): "b", Colour.RED: "c"}, {"1": "a", "2026-01-02": "b", "red": "c"}),
        (ORDER, ORDER_JSON),
        ([ORDER], [ORDER_JSON]),
        (Parcel(ORDER, 1.5), {"order": ORDER_JSON, "weight": 1.5}),
        (Numbers([1, 2]), [1, 2]),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Decimal("19.90"), "19.90"),
        (date(2026, 11, 26), "2026-11-26"),
        (time(9, 30), "09:30:00"),
        (datetime(2026, 11, 26, 9, 30, tzinfo=UTC), "2026-11-26T09:30:00+00:00"),
        (timedelta(hours=1, minutes=30), "PT1H30M"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (AnyUrl("https://example.org/a"), "https://example.org/a"),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({3, 1}), [1, 3]),
        ("text".join(["", ""]), None),
    ],
    ids=repr,
)
def test_what_json_can_hold_becomes_data_and_compact_text(value: Any, data: JsonValue) -> None:
    result = returned(lambda: value)
    assert (result.status, result.data) == ("ok", data)
    if not isinstance(value, str):
        assert text_of(result) == json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def test_a_string_is_its_own_text() -> None:
    result = returned(lambda: 'Order "1042" — größer {{7*7}} <|im_start|>')
    assert text_of(result) == 'Order "1042" — größer {{7*7}} <|im_start|>'
    assert result.data is None


def test_text_that_cannot_be_stored_is_mended() -> None:
    assert text_of(returned(lambda: "a\x00b\ud800c")) == "a\ufffdb\ufffdc"
    assert returned(lambda: {"k\x00": ["\udfff"]}).data == {"k\ufffd": ["\ufffd"]}


class Opaque:
    pass


def circular() -> list[Any]:
    items: list[Any] = [1]
    items.append(items)
    return items


def deep() -> list[Any]:
    items: list[Any] = []
    for _ in range(1000):
        items = [items]
    return items


def numbers() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: float("nan"), "a number that is not finite (NaN or infinity)"),
        (lambda: {"a": [1.0, float("inf")]}, "not finite (NaN or infinity), at `a[1]`"),
        (lambda: Decimal("NaN"), "not finite"),
        (lambda: Decimal("sNaN"), "not finite"),
        (lambda: Reading(value=float("nan")), "not finite (NaN or infinity), at `value`"),
        (Opaque, "a value of type test_tool_results.Opaque"),
        (lambda: {"orders": [Opaque()]}, "Opaque, at `orders[0]`"),
        (lambda: b"bytes", "a value of type bytes"),
        (lambda: Order, "a value of type"),
        (lambda: {Opaque()}, "a set of test_tool_results.Opaque"),
        (lambda: {1, "a"}, "a set of int, str, which has no order; return a list"),
        (circular, "a list that contains itself, at `[1]`"),
        (deep, "nested more than 50 deep"),
        (numbers, "a generator, which can be read only once; return a list"),
        (lambda: iter([1]), "a list_iterator, which can be read only once; return a list"),
        (lambda: {"all": map(str, [1])}, "a map, which can be read only once; return a list, at `all`"),
        (lambda: {(1, 2): 3}, "a dict with a key of type tuple"),
        (lambda: {True: 1}, "a dict with a key of type bool"),
        (lambda: {1: "a", "1": "b"}, "a dict in which two keys are written '1'"),
        (lambda: 10**5000, "an integer of 16610 bits"),
    ],
)
def test_what_json_cannot_hold_is_a_failure_that_names_the_type(make: Callable[[], Any], words: str) -> None:
    result = returned(make)
    assert (result.status, result.data) == ("failed", None)
    assert "give returned what JSON cannot hold: " in text_of(result)
    assert words in text_of(result).replace("tests.tools.", "")
    assert result.parts[0].trust == "untrusted"


def test_ten_megabytes_of_text_are_cut_with_a_note() -> None:
    result = returned(lambda: "x" * 10_000_000)
    assert text_of(result) == "x" * 20_000 + " … [9980000 characters left out]"
    assert result.status == "ok"


def test_ten_megabytes_of_data_are_cut_and_leave_no_data() -> None:
    result = returned(lambda: [{"number": "1042"}] * 500_000)
    assert text_of(result).startswith('[{"number":"1042"},')
    assert text_of(result).endswith("characters left out]")
    assert len(text_of(result)) < 20_100
    assert result.data is None


def test_the_size_of_a_result_is_a_limit_of_the_call() -> None:
    limits = ResultLimits(characters=10)
    assert text_of(returned(lambda: "x" * 11, limits)) == "x" * 10 + " … [1 characters left out]"
    assert returned(lambda: [1, 2, 3, 4], limits).data == [1, 2, 3, 4]
    assert returned(lambda: [1, 2, 3, 4, 5], limits).data is None


json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(json_values.filter(lambda value: not isinstance(value, str) and "\\u0000" not in json.dumps(value)))
def test_json_comes_through_unchanged(value: JsonValue) -> None:
    result = returned(lambda: value)
    assert result.data == value
    assert json.loads(text_of(result)) == value
