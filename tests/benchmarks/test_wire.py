"""Requests as peers get them: the same prompt, and the schema of the same constraint."""

from __future__ import annotations

import json

from agentkit.messages import ToolSpec, load_messages
from agentkit.models.bench.desk import load_desk
from agentkit.models.dialects import written
from agentkit.models.dialects.hermes import HermesDialect
from benchmarks.wire import Writer

DESK = load_desk()
DIALECT = HermesDialect()


def test_the_prompt_of_free_text_is_the_one_that_agentkit_renders() -> None:
    request = DESK.reply(DESK.history(3), 5)
    wire = Writer(DIALECT).wire(request)
    assert wire["prompt"] == written(DIALECT.render(request.messages, request.tools))
    assert wire["schema"] is None
    assert wire["stop"] == ["<|im_end|>"]


def test_the_prompt_of_a_call_ends_where_its_json_begins() -> None:
    request = DESK.call(DESK.history(3), 5)
    wire = Writer(DIALECT).wire(request)
    assert wire["prompt"].endswith("<|im_start|>assistant\n<tool_call>\n")
    assert wire["stop"] == ["<|im_end|>", "</tool_call>"]


def test_the_schema_of_a_call_has_one_form_for_each_tool() -> None:
    wire = Writer(DIALECT).wire(DESK.call(DESK.history(0), 5))
    assert wire["schema"] is not None
    forms = wire["schema"]["anyOf"]
    assert [form["properties"]["name"]["const"] for form in forms] == [tool.name for tool in DESK.tools]
    assert forms[0]["properties"]["arguments"] == DESK.tools[0].parameters


def test_agentkits_own_terms_come_back_as_they_were() -> None:
    request = DESK.call(DESK.history(2), 5)
    wire = json.loads(json.dumps(Writer(DIALECT).wire(request)))
    assert load_messages(wire["messages"]) == tuple(request.messages)
    assert tuple(ToolSpec.model_validate(tool) for tool in wire["tools"]) == DESK.tools
