import pytest
from pydantic import JsonValue

from agentkit.agent.candidates import TrustedText
from agentkit.agent.gate import Allow, Refuse, Situation, Verdict, gate
from agentkit.events import ArgumentOrigin
from agentkit.messages import ToolCall, user
from agentkit.tools import Tool
from tests.agent.shop_tools import cancel_order, change_address, create_ticket, list_orders, track_parcel

TOOLS: list[Tool] = [track_parcel, list_orders, cancel_order, change_address, create_ticket]


def call(name: str, **arguments: JsonValue) -> ToolCall:
    return ToolCall(id="1", name=name, arguments=arguments)


def judge(
    wanted: ToolCall,
    said: str = "",
    earlier: list[ToolCall] | None = None,
    known: dict[str, JsonValue] | None = None,
) -> Verdict:
    situation = Situation(
        trusted=TrustedText(said, [user("hello")]), known=known or {}, earlier_calls=earlier or []
    )
    return gate(wanted, TOOLS, situation)


def test_a_call_that_names_what_the_user_said_may_run() -> None:
    wanted = call("track_parcel", order_id="1042")
    origins = (ArgumentOrigin(argument="order_id", origin="user"),)
    assert judge(wanted, "where is 1042") == Allow(track_parcel, wanted, origins)


def test_a_tool_that_does_not_exist_is_refused_with_the_names_that_do() -> None:
    verdict = judge(call("refund_order", order_id="1042"), "refund 1042")
    assert isinstance(verdict, Refuse)
    assert verdict.rule == "unknown_tool"
    assert "track_parcel, list_orders, cancel_order" in verdict.reason


@pytest.mark.parametrize(
    "arguments", [{}, {"order_id": 1042}, {"order_id": "10425"}, {"order_id": "1042", "colour": "red"}]
)
def test_arguments_that_do_not_fit_the_schema_are_refused(arguments: dict[str, JsonValue]) -> None:
    verdict = judge(ToolCall(id="1", name="track_parcel", arguments=arguments), "1042 10425 red")
    assert isinstance(verdict, Refuse)
    assert verdict.rule == "schema"


def test_an_invented_order_number_is_refused_and_named() -> None:
    verdict = judge(call("cancel_order", order_id="9999", reason="changed_mind"), "cancel 1042")
    assert isinstance(verdict, Refuse)
    assert (verdict.rule, verdict.argument) == ("provenance", "order_id")
    assert "9999" in verdict.reason


def test_an_invented_street_is_refused_even_where_one_word_was_said() -> None:
    verdict = judge(call("change_address", order_id="1042", street="123 Main Street"), "1042, another street")
    assert isinstance(verdict, Refuse)
    assert (verdict.rule, verdict.argument) == ("provenance", "street")


def test_a_street_in_the_users_words_may_be_used_whatever_its_letter_case() -> None:
    said = "Please send 1042 to 12 quay street"
    assert isinstance(judge(call("change_address", order_id="1042", street="12 Quay Street"), said), Allow)


def test_an_invented_number_or_name_in_the_content_of_an_effect_is_refused() -> None:
    said = "the table arrived with a broken leg"
    assert isinstance(judge(call("create_ticket", problem="the table has a broken leg"), said), Allow)
    invented = judge(call("create_ticket", problem="the table from Oslo has a broken leg"), said)
    assert isinstance(invented, Refuse)
    assert invented.argument == "problem"


def test_what_the_user_settled_before_needs_no_second_mention() -> None:
    verdict = judge(
        call("change_address", order_id="1042", street="12 Quay Street"),
        "12 Quay Street",
        known={"order_id": "1042"},
    )
    assert isinstance(verdict, Allow)


def test_the_same_call_again_is_refused_whatever_the_order_of_its_arguments() -> None:
    first = ToolCall(id="0", name="cancel_order", arguments={"order_id": "1042", "reason": "too_late"})
    again = ToolCall(id="1", name="cancel_order", arguments={"reason": "too_late", "order_id": "1042"})
    verdict = judge(again, "cancel 1042", earlier=[first])
    assert isinstance(verdict, Refuse)
    assert verdict.rule == "repeated"
