"""The calculator: right, bounded, and clear about what it cannot read."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit import ToolContext, ToolRetry
from agentkit.messages import ToolCall
from agentkit.tools import run_call
from agentkit_tools.calculator import calculate


def result(expression: str) -> str:
    value: dict[str, str] = calculate(expression)
    return value["result"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 3 - 2", "5"),
        ("100 / 8 / 2", "6.25"),
        ("3 * 19.90", "59.70"),
        ("0.1 + 0.2", "0.3"),
        ("1/3", "0.333333333333333"),
        ("2/3*3", "2"),
        ("2 ^ 10", "1024"),
        ("2 ** 3 ** 2", "512"),
        ("-2 ^ 2", "-4"),
        ("2 ^ -1", "0.5"),
        ("--3", "3"),
        ("+3 - -2", "5"),
        ("15%", "0.15"),
        ("80 * 15%", "12.00"),
        ("80 * (1 - 15%)", "68.00"),
        ("1 + 19%", "1.19"),
        ("10% + 5%", "0.15"),
        ("sqrt(2) ^ 2", "2"),
        ("sqrt(16)", "4"),
        ("max(1, 2.5, -3)", "2.5"),
        ("min(3)", "3"),
        ("abs(-3)", "3"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(19.995, 2)", "20.00"),
        ("ROUND(1234, -2)", "1200"),
        ("3 × 4 ÷ 2 − 1", "5"),
        ("[1 + 2] * 2 =", "6"),
        (".5 + 1.", "1.5"),
        ("1e3 + 1", "1001"),
        ("12345678901234567890 + 1", "12345678901234567891"),
        ("9" * 40 + " + 0", "9" * 40),
        ("10 ^ 299", "1" + "0" * 299),
    ],
)
def test_an_expression_has_its_value(expression: str, value: str) -> None:
    assert Decimal(result(expression)) == Decimal(value)
    assert "e" not in result(expression).lower()


def test_money_keeps_its_cents() -> None:
    assert result("3 * 19.90") == "59.70"
    assert result("0 * -1") == "0"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("1 / 0", "division by zero"),
        ("sqrt(-1)", "no result"),
        ("0 ^ 0", "no result"),
        ("(-8) ^ 0.5", "no result"),
        ("10 ^ 400", "more than 300 digits"),
        ("9 ^ 9 ^ 9 ^ 9", "more than 300 digits"),
        ("1e999", "more than 300 digits"),
        ("1,299.50 + 1", "write 1299.50 and not 1,299.50"),
        ("3,50 * 2", "write 1299.50"),
        ("1 2", "an operator is missing before `2` at character 3"),
        ("2 (3)", "an operator is missing before `(`"),
        ("1 +", "a number is missing before the end"),
        ("* 3", "a number is missing before `*` at character 1"),
        ("(1 + 2", "a closing parenthesis is missing before the end"),
        ("1 + 2)", "an operator is missing before `)`"),
        ("3 x 4", "an operator is missing before `x`"),
        ("import os", "'import' is no function"),
        ("sqrt 2", "write sqrt(…)"),
        ("sqrt(1, 2)", "sqrt takes one number, got 2"),
        ("round(1, 2, 3)", "round(number, digits)"),
        ("round(1, 0.5)", "round(number, digits)"),
        ("round(1, 1e200)", "round(number, digits)"),
        ("min()", "a number is missing before `)`"),
        ("__import__('os')", "'_' is not part of an expression"),
        ("19 €", "'€' is not part of an expression"),
        ("٣ + 1", "'٣' is not part of an expression"),
        ("80 - 15%", "write 80 * (1 - …%) to change 80 by a percentage"),
        (" = ", "a number is missing before the end"),
        ("(" * 200 + "1" + ")" * 200, "nested too deeply"),
        ("-" * 400 + "1", "nested too deeply"),
    ],
)
def test_what_cannot_be_calculated_is_answered_with_what_to_write(expression: str, words: str) -> None:
    with pytest.raises(ToolRetry) as caught:
        calculate(expression)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "^".join(["9.99"] * 100),
        "1.0000001^(10^200)",
        "2^(0-10^200)",
        "*".join(["9" * 45] * 10),
        "(" * 40 + "1.1" + "^1.1)" * 40,
        "sqrt(" * 40 + "2" + ")" * 40,
    ],
)
def test_hard_expressions_take_no_time(expression: str) -> None:
    begun = time.perf_counter()
    context = ToolContext(user_id="ann")
    call = ToolCall(id="1", name="calculate", arguments={"expression": expression[:500]})
    assert run_call(calculate, call, context).status in ("ok", "retry")
    assert time.perf_counter() - begun < 2


def test_an_expression_has_a_bounded_length() -> None:
    call = ToolCall(id="1", name="calculate", arguments={"expression": "1+" * 300 + "1"})
    assert run_call(calculate, call, ToolContext(user_id="ann")).status == "retry"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)
@given(st.text(alphabet="0123456789.+-*/^%(), e", max_size=40) | st.text(max_size=40))
def test_any_text_has_a_value_or_an_answer(expression: str) -> None:
    value = "0"
    try:
        value = result(expression)
    except ToolRetry as problem:
        value = str(len(str(problem)))
    assert Decimal(value).is_finite()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)
@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 10**6)), min_size=1, max_size=6))
def test_integers_agree_with_python(steps: list[tuple[str, int]]) -> None:
    # Left to right with parentheses, so that no precedence is needed to check it.
    text, value = "0", 0
    for sign, number in steps:
        text = f"({text}) {sign} {number}"
        value = {"+": value + number, "-": value - number, "*": value * number}[sign]
    assert Decimal(result(text)) == value
