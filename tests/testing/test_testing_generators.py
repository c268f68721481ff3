from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy
import pytest

from agentkit.errors import ConstraintUnmet
from agentkit.messages import Assistant, ToolSpec, assistant, text_of, user
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Constraint,
    Delta,
    Finished,
    GenerationRequest,
    Generator,
    Grammar,
    JsonSchema,
    Regex,
    ReplyStart,
    TextChunk,
)
from agentkit.testing import (
    ByteTokenizer,
    Calls,
    Chooses,
    Fails,
    Holds,
    RandomGenerator,
    Says,
    ScriptedGenerator,
    ScriptError,
    ScriptStep,
)

ORDER = ToolSpec(
    name="find_order",
    description="",
    parameters={
        "type": "object",
        "properties": {"order_id": {"type": "string", "pattern": "^[0-9]{4}$"}},
        "required": ["order_id"],
    },
)


def play(step: ScriptStep, *, said: str = "Where is it?", **settings: Any) -> Assistant:
    with ScriptedGenerator([step]) as generator:
        return finished(
            generator, GenerationRequest(messages=[user(said)], **{"tools": [ORDER], **settings})
        ).reply


def finished(generator: Generator, request: GenerationRequest) -> Finished:
    items: list[Delta] = list(generator.generate(request))
    last = items[-1]
    assert isinstance(last, Finished)
    assert "".join(item.text for item in items if isinstance(item, TextChunk)) == last.text
    return last


@pytest.mark.parametrize("generator", [ScriptedGenerator([]), RandomGenerator()])
def test_the_doubles_are_generators(generator: object) -> None:
    assert isinstance(generator, Generator)


def test_a_script_is_played_in_order_and_its_requests_are_kept() -> None:
    steps: list[ScriptStep] = [
        Chooses([0.75, 0.25]),
        Calls([("find_order", {"order_id": "1042"})], expect="1042"),
        Says("It has been shipped."),
    ]
    with ScriptedGenerator(steps) as generator:
        question = ChoiceRequest(messages=[user("?")], options=("Yes", "No"))
        assert [math.exp(p) for p in generator.choose(question)] == pytest.approx([0.75, 0.25])
        request = GenerationRequest(messages=[user("1042?")], tools=[ORDER], constraint=CallTools())
        reply = finished(generator, request).reply
        assert [(c.name, c.arguments) for c in reply.calls] == [("find_order", {"order_id": "1042"})]
        said = finished(generator, GenerationRequest(messages=[user("?")])).reply
        assert said == assistant("It has been shipped.")
    assert generator.requests[:2] == [question, request]


def test_unused_steps_are_complained_about() -> None:
    generator = ScriptedGenerator([Says("a"), Says("b")])
    with pytest.raises(ScriptError, match="2 of 2 steps were not used; next would be Says"), generator:
        pass


def test_a_missing_step_is_complained_about_with_what_was_asked() -> None:
    with pytest.raises(ScriptError, match=r"ended after 0 steps.*'Hello'"):
        finished(ScriptedGenerator([]), GenerationRequest(messages=[user("Hello")]))


def test_an_error_inside_the_block_is_not_hidden_by_unused_steps() -> None:
    with pytest.raises(KeyError), ScriptedGenerator([Says("a")]):
        raise KeyError


WRONG: list[tuple[ScriptStep, dict[str, Any], str]] = [
    (Says("x", expect="order"), {"said": "Hello"}, "expects 'order' in the last message"),
    (Chooses([1.0]), {}, "is a choice, but a reply is asked for"),
    (Holds(numpy.zeros((2, 3), numpy.float32)), {}, "is a state, but a reply is asked for"),
    (Says("Hello"), {"constraint": CallTools(allow_text=False)}, "a call is required"),
    (Says("maybe"), {"constraint": Regex("yes|no")}, "does not satisfy"),
    (Says("yes!"), {"constraint": Grammar('start: "yes" | "no"')}, "does not satisfy"),
    (Says("{"), {"constraint": JsonSchema({})}, "no JSON"),
    (Says('{"a": 1}'), {"constraint": JsonSchema({"required": ["b"]})}, "lacks b"),
    (Calls([("find_order", {"order_id": "1042"})]), {}, "allows only FreeText"),
    (Calls([("find_order", {})]), {"constraint": CallTools()}, "arguments lacks order_id"),
    (Calls([("find_order", {"order_id": "x"})]), {"constraint": CallTools()}, "does not match"),
    (Calls([("cancel", {})]), {"constraint": CallTools()}, "offers \\['find_order'\\]"),
    (Calls([("find_order", {"order_id": "1042"})] * 2), {"constraint": CallTools()}, "allows 1"),
]


@pytest.mark.parametrize(("step", "settings", "complaint"), WRONG)
def test_a_step_that_the_request_does_not_allow_is_complained_about(
    step: ScriptStep, settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ScriptError, match=complaint):
        play(step, **settings)


def test_a_text_that_satisfies_its_constraint_is_said() -> None:
    allowed: list[tuple[str, Constraint]] = [
        ("no", Regex("yes|no")),
        ("yes", Grammar('start: "yes" | "no"')),
        ('{"b": 1}', JsonSchema({"required": ["b"]})),
        ("text", CallTools()),
    ]
    for text, constraint in allowed:
        assert text_of(play(Says(text), constraint=constraint)) == text


def test_a_constraint_narrower_than_the_tools_is_kept_to() -> None:
    narrow = CallTools(tools=[])
    with pytest.raises(ScriptError, match="offers \\[\\]"):
        play(Calls([("find_order", {"order_id": "1042"})]), constraint=narrow)


def test_an_error_can_be_scripted() -> None:
    with pytest.raises(ConstraintUnmet):
        play(Fails(ConstraintUnmet("too long")))
    with pytest.raises(ConstraintUnmet):
        ScriptedGenerator([Fails(ConstraintUnmet("x"))]).choose(ChoiceRequest(messages=[], options=("a",)))


def test_choices_are_checked_against_the_options() -> None:
    question = ChoiceRequest(messages=[user("?")], options=("Yes", ReplyStart.TOOL_CALL))
    by_name = ScriptedGenerator([Chooses({"tool_call": 0.5, "Yes": 0.0})])
    assert by_name.choose(question) == (-math.inf, math.log(0.5))
    for wrong, complaint in (
        (Chooses([1.0]), "1 probabilities for 2 options"),
        (Chooses({"Yes": 1.0}), "has options"),
        (Says("x"), "a choice between"),
    ):
        with pytest.raises(ScriptError, match=complaint):
            ScriptedGenerator([wrong]).choose(question)


def test_a_scripted_reply_can_be_interrupted() -> None:
    cancel = threading.Event()
    generator = ScriptedGenerator([Says("one\ntwo\n")])
    stream = generator.generate(GenerationRequest(messages=[user("x")], cancel=cancel))
    assert next(stream) == TextChunk("one\n")
    cancel.set()
    last = next(stream)
    assert isinstance(last, Finished)
    assert (last.finish, last.text) == ("cancelled", "one\n")
    late = GenerationRequest(messages=[user("x")], deadline=time.monotonic() - 1)
    assert finished(ScriptedGenerator([Says("x")]), late).finish == "deadline"


def test_tokens_are_counted_and_closing_is_seen() -> None:
    generator = ScriptedGenerator([])
    assert generator.count_tokens([user("four")]) == generator.count_tokens([user("")]) + 4
    generator.close()
    assert generator.closed


def test_the_random_generator_repeats_itself_with_its_seed() -> None:
    request = GenerationRequest(messages=[user("x")], tools=[ORDER], constraint=CallTools(allow_text=False))
    texts = [finished(RandomGenerator(seed), request).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    question = ChoiceRequest(messages=[user("?")], options=("a", "b"))
    assert RandomGenerator(1).choose(question) == RandomGenerator(1).choose(question)
    assert sum(map(math.exp, RandomGenerator(1).choose(question))) < 1


def test_the_random_generator_stops_where_it_is_told() -> None:
    random = RandomGenerator(3)
    assert finished(random, GenerationRequest(messages=[user("x")], max_tokens=1)).finish in (
        "length",
        "stop",
    )
    late = GenerationRequest(messages=[user("x")], deadline=time.monotonic() - 1)
    assert finished(random, late).finish in ("deadline", "stop")
    with pytest.raises(ConstraintUnmet):
        finished(random, GenerationRequest(messages=[], constraint=Regex("[a-z]{50}"), max_tokens=9))


def test_the_byte_tokenizer_has_a_token_for_every_byte_and_control_token() -> None:
    tokenizer = ByteTokenizer(["<stop>"], unused=2)
    assert tokenizer.size == 256 + 1 + 2
    assert tokenizer.encode_markup("é<stop>") == (0xC3, 0xA9, 256)
    assert tokenizer.encode_text("<stop>") == tuple(b"<stop>")
    assert tokenizer.control_ids == {256, 257, 258}
