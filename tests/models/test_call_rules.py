from __future__ import annotations

from typing import Any

import pytest

from agentkit.messages import ToolCall, assistant, system, user
from agentkit.models.call_rules import is_about, says_something_new, without_inventions


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(id="x", name=name, arguments=arguments)


CASES: list[tuple[str, list[ToolCall], bool]] = [
    ("Weather in Paris and in New York?", [call("w", city="Paris"), call("w", city="New York")], True),
    ("Weather in Paris and in New York?", [call("w", city="Paris"), call("w", city="London")], False),
    ("Weather in Paris?", [call("w", city="Paris"), call("w", city="Paris")], False),
    ("Weather in Paris?", [call("w", city="Paris", unit="C"), call("w", city="Paris", unit="F")], False),
    ("The factorial of 5 and of 7.", [call("f", n=5), call("f", n=7)], True),
    ("The factorial of 5.", [call("f", n=5), call("f", n=10)], False),
    ("6 feet, 80kg, and 5.6 feet, 60kg", [call("b", h=6, w=80), call("b", h=5.6, w=60)], True),
    ("6 feet, 80kg, and 5.6 feet, 60kg", [call("b", h=6, w=80), call("b", h=7, w=60)], False),
    (
        "derive 3x^2 + 2x - 1",
        [call("d", f="3x^2 + 2x - 1", x=0.0), call("d", f="3x^2 + 2x - 1", x=1.0)],
        False,
    ),
    ("Interest at 5% and 7%.", [call("i", rate=0.05), call("i", rate=0.07)], True),
    ("$2,000,000 and $1,500", [call("p", sum=2000000), call("p", sum=1500)], True),
    ("Move 5000 EUR, then interest for 3 years.", [call("m", amount=5000), call("i", years=3)], True),
    ("Books of mystery", [call("a", genre="mystery"), call("b", genre="mystery")], False),
    ("INTJ, strengths", [call("p", type="INTJ", traits=["strengths"]), call("p", type="ENFP")], False),
    ("Is it on?", [call("s", on=True), call("s", on=False)], False),
    ("", [call("s"), call("s")], False),
]


@pytest.mark.parametrize(("said", "calls", "wanted"), CASES)
def test_a_further_call_has_to_say_something_new_that_the_user_said(
    said: str, calls: list[ToolCall], wanted: bool
) -> None:
    assert says_something_new([user("Hello"), assistant("Yes?"), user(said)])(calls) is wanted


def test_without_a_user_nothing_was_said() -> None:
    assert not says_something_new([])([call("f", n=1), call("f", n=2)])


SIZES: dict[str, Any] = {"type": "object", "properties": {"size": {"enum": ["small", "large"]}, "what": {}}}


@pytest.mark.parametrize(
    ("said", "made", "about"),
    [
        ("Book a table in Rome", call("book", what="Rome", size="large"), True),
        ("What time is it?", call("book", what="Paris", size="large"), False),
        ("What time is it?", call("book", size="large"), True),
        ("What time is it?", call("book", size="large", what=True), True),
        ("What time is it?", call("book"), True),
        ("The area of 5 by 7", call("area", what=[5, 7]), True),
        ("The area of 5 by 7", call("area", what=[1, 2]), False),
    ],
)
def test_a_call_is_about_the_question_if_it_uses_what_was_said(
    said: str, made: ToolCall, about: bool
) -> None:
    assert is_about([user(said)], made, SIZES) is about


HOTEL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "nights": {"type": "integer"},
        "stars": {"type": "integer"},
        "breakfast": {"type": "boolean"},
        "room": {"enum": ["single", "double"]},
        "wishes": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city"],
}


@pytest.mark.parametrize(
    ("said", "arguments", "kept"),
    [
        ("A hotel, three nights", {"city": "Rome", "nights": 3}, {"city", "nights"}),
        ("A hotel in Rome", {"city": "Rome", "nights": 3, "stars": 5}, {"city"}),
        ("A hotel", {"city": "Rome", "breakfast": True, "room": "double"}, {"city", "breakfast", "room"}),
        ("A hotel with a pool", {"city": "Rome", "wishes": ["swimming pools", "sauna"]}, {"city", "wishes"}),
        ("A hotel", {"city": "Rome", "wishes": ["sauna"]}, {"city"}),
        ("A hotel", {"city": "Rome", "wishes": []}, {"city", "wishes"}),
    ],
)
def test_optional_arguments_that_nobody_spoke_of_are_left_out(
    said: str, arguments: dict[str, Any], kept: set[str]
) -> None:
    made = without_inventions([user(said)], call("book", **arguments), HOTEL)
    assert set(made.arguments) == kept


def test_what_the_author_said_is_no_invention() -> None:
    made = call("book", city="Rome", stars=4)
    assert without_inventions([system("Always 4 stars."), user("Rome")], made, HOTEL) == made


def test_nothing_is_left_out_that_the_schema_needs() -> None:
    either = {**HOTEL, "required": [], "minProperties": 1}
    made = call("book", stars=4)
    assert without_inventions([user("A hotel")], made, either) == made
