"""Near the token limit a reply is closed while there is room: what comes out is whole, or a typed error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import ConstraintUnmet
from agentkit.messages import ToolSpec, user
from agentkit.models.engine.network import Feed
from agentkit.models.local_generator import LocalGenerator
from agentkit.models.protocols import (
    CallTools,
    Constraint,
    Finished,
    GenerationRequest,
    JsonSchema,
    Regex,
    Sampling,
)
from agentkit.models.schema_check import violations
from tests.models.short_schemas import Short, objects, short_schemas
from tests.models.tiny_model import tiny_generator

GENERATOR = tiny_generator()
NOTE: dict[str, Any] = {
    "type": "object",
    "properties": {"note": {"type": "string", "minLength": 20}, "kind": {"enum": ["damage", "other"]}},
    "required": ["note", "kind"],
}
WRITE = ToolSpec(name="write_note", description="Write a note.", parameters=NOTE)
CALL = '_\n{"name": "write_note", "arguments": {"note": "%s", "kind": "other"}}\n_'
SHORTEST = len(CALL % (" " * 20))
"""Tokens of the shortest call: the tags are one each, all else is bytes."""


def ask(constraint: Constraint, limit: int, *, seed: int = 1, **options: Any) -> Finished:
    request = GenerationRequest(
        messages=[user("Hello")],
        constraint=constraint,
        sampling=Sampling(temperature=1.5, seed=seed),
        max_tokens=limit,
        **options,
    )
    *_, last = GENERATOR.generate(request)
    assert isinstance(last, Finished)
    assert last.usage.generated_tokens <= limit
    return last


@settings(max_examples=15, derandomize=True)
@given(short=short_schemas, limit=st.integers(1, 128), seed=st.integers(0, 99))
def test_a_value_is_whole_wherever_the_shortest_one_fits_and_an_error_elsewhere(
    short: Short, limit: int, seed: int
) -> None:
    if limit < short.shortest:
        with pytest.raises(ConstraintUnmet):
            ask(JsonSchema(short.schema), limit, seed=seed)
    else:
        finished = ask(JsonSchema(short.schema), limit, seed=seed)
        assert list(violations(json.loads(finished.text), short.schema)) == []


@settings(max_examples=10, derandomize=True)
@given(short=objects(short_schemas), limit=st.integers(40, 160), seed=st.integers(0, 99))
def test_calls_are_whole_or_there_is_an_error(short: Short, limit: int, seed: int) -> None:
    tool = ToolSpec(name="any", description="", parameters=short.schema)
    try:
        finished = ask(CallTools(allow_text=False, max_calls=3), limit, seed=seed, tools=[tool])
    except ConstraintUnmet:
        assert limit < len('_\n{"name": "any", "arguments": }\n_') + short.shortest or limit > 128
        return
    assert finished.reply.calls
    assert finished.text.count("<tool_call>") == finished.text.count("</tool_call>")
    for call in finished.reply.calls:
        assert list(violations(call.arguments, short.schema)) == []


def test_a_call_that_is_closed_by_force_says_that_the_limit_ended_it() -> None:
    finished = ask(CallTools(allow_text=False), SHORTEST + 3, tools=[WRITE])
    assert finished.finish == "length"
    (call,) = finished.reply.calls
    assert list(violations(call.arguments, NOTE)) == []
    assert ask(CallTools(allow_text=False), SHORTEST, tools=[WRITE]).reply.calls


def test_a_call_that_was_complete_is_kept_and_one_that_the_limit_cut_is_taken_back() -> None:
    text = {"type": "string", "minLength": 4, "maxLength": 16}
    parameters = {"type": "object", "properties": {"a": text}, "required": ["a"]}
    tool = ToolSpec(name="say", description="", parameters=parameters)
    taken_back = 0
    for seed in range(4):
        finished = ask(CallTools(allow_text=False, max_calls=2), 120, seed=seed, tools=[tool])
        whole = len(finished.text.replace("<tool_call>", "_").replace("</tool_call>", "_").encode())
        if finished.usage.generated_tokens > whole:
            taken_back += 1
            assert finished.finish == "length"
            assert len(finished.reply.calls) == 1
    assert taken_back


def test_what_fits_is_not_changed_by_the_limit() -> None:
    constraint = JsonSchema(NOTE["properties"]["kind"])
    assert ask(constraint, 9, seed=3).text == ask(constraint, 400, seed=3).text
    free = ask(Regex("[a-z]{10}"), 10, seed=3)
    assert (free.finish, free.text) == ("stop", ask(Regex("[a-z]{10}"), 400, seed=3).text)


def test_a_long_ending_is_seen_when_half_of_a_large_limit_is_used() -> None:
    names = [f"member_{number}" for number in range(20)]
    schema = {
        "type": "object",
        "properties": {"thoughts": {"type": "string"}, **{name: {"type": "string"} for name in names}},
        "required": ["thoughts", *names],
        "additionalProperties": False,
    }
    finished = ask(JsonSchema(schema), 900)
    assert list(violations(json.loads(finished.text), schema)) == []


def counted(generator: LocalGenerator) -> list[int]:
    """Grows by one with each pass of the generator's network."""
    network = generator._engine._network  # type: ignore[union-attr]
    plain, passes = network.forward, list[int]()

    def forward(feeds: Sequence[Feed]) -> torch.Tensor:
        passes.append(len(feeds))
        return plain(feeds)

    network.forward = forward  # type: ignore[method-assign]
    return passes


@pytest.mark.parametrize(
    ("constraint", "limit"),
    [
        (JsonSchema({"type": "string", "minLength": 50}), 51),
        (Regex("[a-z]{50}"), 49),
        (CallTools(allow_text=False), SHORTEST - 1),
        (Regex(r"It has been shipped\."), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_fit_is_told_before_the_model_is_asked(constraint: Constraint, limit: int) -> None:
    generator = tiny_generator()
    passes = counted(generator)
    request = GenerationRequest([user("Hello")], tools=[WRITE], constraint=constraint, max_tokens=limit)
    with pytest.raises(ConstraintUnmet, match=f"within {limit} tokens") as caught:
        list(generator.generate(request))
    assert caught.value.hint
    assert passes == []
