"""Arguments that people type for a call: at the desk, for an approval, and for `tools call`."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field

from agentkit import tool
from agentkit.cli.arguments import arguments_of
from agentkit.errors import ConfigurationError
from agentkit.tools import validate_arguments


@tool(effect="write")
def refund(
    order_id: Annotated[str, Field(pattern=r"^\d{4}$")], amount: float, note: str | None = None
) -> str:
    """Pay back."""
    return f"{order_id} {amount} {note}"


def test_what_the_tool_wants_as_text_stays_text_though_it_looks_like_a_number() -> None:
    values = arguments_of(["order_id=1042", "amount=12.50", "note=7"], "refund", [refund])
    assert values == {"order_id": "1042", "amount": 12.5, "note": "7"}
    validate_arguments(refund, values)


def test_null_leaves_an_optional_text_out() -> None:
    assert arguments_of(["note=null"], "refund", [refund]) == {"note": None}


def test_where_nothing_is_known_of_the_tool_values_are_json_or_else_text() -> None:
    values = arguments_of(["a=1", "b=[true]", "c=e-bike", "d=x=y"], "refund", [])
    assert values == {"a": 1, "b": [True], "c": "e-bike", "d": "x=y"}


def test_what_has_no_name_is_refused_with_what_to_write() -> None:
    with pytest.raises(ConfigurationError, match="no argument") as refused:
        arguments_of(["1042"], "refund", [refund])
    assert "name=value" in str(refused.value.hint)
