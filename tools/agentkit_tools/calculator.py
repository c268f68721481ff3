"""A calculator in decimal arithmetic with a recursive-descent parser of its own: no text is run as code.

::

    sum      = product { ("+" | "-") product }
    product  = sign { ("*" | "/") sign }
    sign     = ("+" | "-") sign | power
    power    = percent [ ("^" | "**") sign ]
    percent  = atom { "%" }
    atom     = number | "(" sum ")" | function "(" sum { "," sum } ")"

Bounded on all sides: the length of the text bounds the number of operations, the depth the recursion, the
decimal context the size of every number and with it the time of each operation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Annotated, Final

from pydantic import Field

from agentkit import ToolRetry, tool

_MOST_DEPTH: Final = 50
_MOST_DIGITS: Final = 300  # digits before or after the point
_SHOWN_DIGITS: Final = 15  # of a result that had to be rounded; what is exact is shown whole
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z]+)|(?P<sign>\*\*|[-+*/^%(),]))",
    re.ASCII,
)
_SAME_SIGNS: Final = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")"})


@tool(
    effect="read", trusted=False
)  # a result repeats the numbers that a model wrote, so it proves nothing about them
def calculate(expression: Annotated[str, Field(min_length=1, max_length=500)]) -> dict[str, str]:
    """Calculate an arithmetic expression, for example `3 * (19.90 + 4.50)` or `round(80 * (1 - 15%), 2)`.

    Args:
        expression: Numbers with a decimal point, + - * / ^ and parentheses. 15% means 0.15. Functions: sqrt,
            abs, min, max, round(number, digits).
    """
    with localcontext(_context()) as context:
        try:
            value = _Parser(expression).value() + 0  # no minus zero
        except DivisionByZero:
            raise ToolRetry("division by zero") from None
        except Overflow:
            raise ToolRetry(f"a number has more than {_MOST_DIGITS} digits, use smaller numbers") from None
        except DecimalException:
            raise ToolRetry(
                "an operation has no result, such as the root of a negative number, 0^0 or too many digits"
            ) from None
        if context.flags[Inexact]:
            value = Context(prec=_SHOWN_DIGITS).plus(value).normalize()
    return {"result": f"{value:f}"}


def _context() -> Context:
    return Context(
        prec=50, Emax=_MOST_DIGITS, Emin=-_MOST_DIGITS, traps=[DivisionByZero, InvalidOperation, Overflow]
    )


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    """Reads the tokens from left to right and calculates while it reads."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text.translate(_SAME_SIGNS))
        self._next = 0
        self._depth = 0

    def value(self) -> Decimal:
        """The value of the whole expression."""
        value = self._sum()
        token = self._peek()
        if token.kind == "end":
            return value
        if token.text == ",":
            raise ToolRetry(
                "a comma separates arguments of a function: write 1299.50 and not 1,299.50 or 1299,50"
            )
        raise ToolRetry(f"an operator is missing before {_named(token)}, such as + - * /")

    def _sum(self) -> Decimal:
        value, is_percentage = self._product()
        while sign := self._take("+", "-"):
            other, other_is_percentage = self._product()
            if other_is_percentage and not is_percentage and value != 1:
                # A pocket calculator takes 15% of the number before it, arithmetic takes 0.15: do not guess.
                raise ToolRetry(f"write {value} * (1 {sign} …%) to change {value} by a percentage")
            value = value + other if sign == "+" else value - other
            is_percentage = is_percentage and other_is_percentage
        return value

    def _product(self) -> tuple[Decimal, bool]:
        begin = self._next
        value = self._sign()
        is_percentage = self._next > begin and self._tokens[self._next - 1].text == "%"
        while sign := self._take("*", "/"):
            other = self._sign()
            value = value * other if sign == "*" else value / other
            is_percentage = False
        return value, is_percentage

    def _sign(self) -> Decimal:
        sign = self._take("+", "-")
        if sign is None:
            return self._power()
        with_sign = self._deeper(self._sign)
        return -with_sign if sign == "-" else with_sign

    def _power(self) -> Decimal:
        base = self._percent()
        if self._take("^", "**") is None:
            return base
        return Decimal(base ** self._deeper(self._sign))

    def _percent(self) -> Decimal:
        value = self._atom()
        while self._take("%"):
            value = value / 100
        return value

    def _atom(self) -> Decimal:
        token = self._peek()
        if token.kind == "number":
            self._next += 1
            return +Decimal(token.text)
        if token.kind == "name":
            return self._call(token)
        if self._take("("):
            value = self._deeper(self._sum)
            self._close()
            return value
        raise ToolRetry(f"a number is missing before {_named(token)}")

    def _call(self, name: _Token) -> Decimal:
        function = _FUNCTIONS.get(name.text.casefold())
        if function is None:
            raise ToolRetry(
                f"{name.text[:20]!r} is no function: use numbers, + - * / ^ % and {', '.join(_FUNCTIONS)}"
            )
        self._next += 1
        if not self._take("("):
            raise ToolRetry(f"write {name.text}(…) with its arguments in parentheses")
        arguments = [self._deeper(self._sum)]
        while self._take(","):
            arguments.append(self._deeper(self._sum))
        self._close()
        return function(arguments)

    def _deeper(self, rule: Callable[[], Decimal]) -> Decimal:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise ToolRetry("the expression is nested too deeply, calculate it in parts")
        value = rule()
        self._depth -= 1
        return value

    def _close(self) -> None:
        if not self._take(")"):
            raise ToolRetry(f"a closing parenthesis is missing before {_named(self._peek())}")

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *signs: str) -> str | None:
        """The next token if it is one of `signs`."""
        token = self._peek()
        if token.kind != "sign" or token.text not in signs:
            return None
        self._next += 1
        return token.text


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    text = text.rstrip().removesuffix("=").rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            wrong = text[position:].lstrip()[0]
            raise ToolRetry(
                f"{wrong!r} is not part of an expression: use numbers, + - * / ^ % and parentheses"
            )
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return [*tokens, _Token("end", "", position)]


def _named(token: _Token) -> str:
    return "the end" if token.kind == "end" else f"`{token.text[:20]}` at character {token.position + 1}"


def _one(name: str, values: Sequence[Decimal]) -> Decimal:
    if len(values) != 1:
        raise ToolRetry(f"{name} takes one number, got {len(values)}")
    return values[0]


def _round(values: Sequence[Decimal]) -> Decimal:
    """Half away from zero, as on an invoice."""
    digits = values[1] if len(values) == 2 else Decimal(0)
    if len(values) > 2 or digits != int(digits) or abs(digits) > 20:
        raise ToolRetry("write round(number, digits) with a whole number of digits up to 20")
    return values[0].quantize(Decimal(1).scaleb(-int(digits)), rounding=ROUND_HALF_UP)


_FUNCTIONS: Final[Mapping[str, Callable[[Sequence[Decimal]], Decimal]]] = {
    "sqrt": lambda values: _one("sqrt", values).sqrt(),
    "abs": lambda values: abs(_one("abs", values)),
    "min": min,
    "max": max,
    "round": _round,
}
