"""The shortest way to end what was begun."""

from __future__ import annotations

import json
import random

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.messages import ToolSpec
from agentkit.models.constraints import ConstraintCompiler, TokenMatcher
from agentkit.models.dialects import HermesDialect
from agentkit.models.protocols import CallTools, Constraint, JsonSchema, Regex
from agentkit.models.schema_check import violations
from agentkit.models.tokenizer_file import TokenizerCodec
from agentkit.models.tokens import TokenCodec
from agentkit.testing import ByteTokenizer
from tests.models.short_schemas import Short, short_schemas
from tests.models.small_tokenizers import byte_level_json, sentencepiece_json

BYTES = ByteTokenizer(unused=2)
CODECS: dict[str, TokenCodec] = {
    "bytes": BYTES,
    "bpe": TokenizerCodec(byte_level_json()),
    "sentencepiece": TokenizerCodec(sentencepiece_json()),
}
MUCH = 10_000


def compiler(codec: TokenCodec) -> ConstraintCompiler:
    end = codec.control_id("<|im_end|>") or codec.control_id("</s>")
    assert end is not None
    return ConstraintCompiler(codec, HermesDialect(), [end])


COMPILERS = {name: compiler(codec) for name, codec in CODECS.items()}


def begun(constraint: Constraint, text: str = "") -> TokenMatcher:
    matcher = COMPILERS["bytes"].matcher(constraint, ())
    for token in BYTES.encode_text(text):
        matcher.accept(token)
    return matcher


def end_of(constraint: Constraint, text: str = "") -> str:
    found = begun(constraint, text).ending(MUCH)
    assert found is not None
    return BYTES.decode(found)


ORDER = JsonSchema(
    {
        "type": "object",
        "properties": {
            "note": {"type": "string"},
            "id": {"type": "string", "pattern": "^[A-F][0-9]{3}$"},
            "extra": {"type": "array", "items": {"type": "string", "minLength": 3}, "minItems": 2},
            "sent": {"type": "boolean"},
        },
        "required": ["id", "sent"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("", '{"id": "A000", "sent": true}'),
        ('{"note": "half a sent', '", "id": "A000", "sent": true}'),
        ('{"note": "a backslash \\', '"", "id": "A000", "sent": true}'),
        ('{"note": "half a character \u00e9'[:-1], '", "id": "A000", "sent": true}'),
        ('{"id": "B4', '00", "sent": true}'),
        ('{"id": "B400", "extra": ["a', '  ", "   "], "sent": true}'),
        ('{"id": "B400", "sent": f', "alse}"),
        ('{"id": "B400", "sent": false}', ""),
    ],
)
def test_what_is_open_is_closed_with_what_is_required_and_no_more(begin: str, end: str) -> None:
    assert end_of(ORDER, begin) == end


def test_half_a_character_is_made_whole() -> None:
    matcher = begun(JsonSchema({"type": "string"}), '"')
    matcher.accept(0xE2)
    found = matcher.ending(MUCH)
    assert found is not None
    assert len(json.loads(bytes([ord('"'), 0xE2, *found]))) == 1


def test_of_alternatives_the_shortest_is_taken_and_circles_are_left() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
        "required": ["next"],
        "additionalProperties": False,
    }
    circle = JsonSchema({"$ref": "#/$defs/node", "$defs": {"node": node}})
    assert end_of(circle, '{"next": {') == '"next": null}}'
    assert end_of(JsonSchema({"enum": ["abcdef", "ax", "b" * 30]}), '"') == 'ax"'
    assert end_of(JsonSchema({"enum": [f"value {n}" for n in range(10_000)]})) == '"value 0"'
    assert end_of(Regex("(ab|cd|e)*x"), "ab") == "x"
    assert len(end_of(JsonSchema({"type": "integer", "minimum": 123456}))) == 6


def test_what_the_bounded_search_does_not_find_is_told_and_nothing_is_accepted() -> None:
    matcher = begun(Regex("(?s:.*)END"), "x")
    assert matcher.ending(MUCH) is None
    assert matcher.mask()[ord("x")]


def test_an_ending_is_kept_while_a_string_grows_and_shrinks_as_it_is_written() -> None:
    matcher = begun(ORDER, '{"note": "a')
    whole = matcher.ending(MUCH)
    matcher.accept(ord("b"))
    assert matcher.ending(MUCH) == whole
    matcher.accept(ord('"'))
    assert whole is not None
    assert matcher.ending(MUCH) == whole[1:]


def test_a_copy_goes_its_own_way() -> None:
    matcher = begun(Regex("a[bc]d"), "a")
    other = matcher.fork()
    other.accept(ord("b"))
    assert matcher.mask()[ord("c")]
    assert other.forced() == [ord("d")]
    assert other.finished
    assert not matcher.complete


def test_a_call_is_closed_with_its_control_token() -> None:
    tool = ToolSpec(name="find", description="", parameters=dict(ORDER.schema))
    for name in ("bytes", "bpe"):
        codec = CODECS[name]
        matcher = COMPILERS[name].matcher(CallTools(allow_text=False, max_calls=3), [tool])
        begin = matcher.forced()
        found = matcher.ending(MUCH)
        assert found is not None
        reply = HermesDialect().parse(codec.decode([*begin, *found]))
        assert [call.arguments for call in reply.calls] == [{"id": "A000", "sent": True}]
        assert found[-1] == codec.control_id("</tool_call>")


@given(short=short_schemas)
@settings(max_examples=150, derandomize=True)  # what is odd enough is not found: the same schemas every time
def test_the_end_of_an_empty_text_is_the_shortest_instance(short: Short) -> None:
    text = end_of(JsonSchema(short.schema))
    assert list(violations(json.loads(text), short.schema)) == []
    assert len(text.encode()) == short.shortest


@pytest.mark.parametrize("name", CODECS)
@given(short=short_schemas, seed=st.integers(0, 2**32), steps=st.integers(0, 60))
def test_a_text_that_was_begun_at_random_can_be_ended(name: str, short: Short, seed: int, steps: int) -> None:
    codec, chance = CODECS[name], random.Random(seed)
    end = {codec.control_id("<|im_end|>"), codec.control_id("</s>")}
    matcher = COMPILERS[name].matcher(JsonSchema(short.schema), ())
    ids = matcher.forced()
    for _ in range(steps):
        choices = [t for t in numpy.flatnonzero(matcher.mask()).tolist() if t not in end]
        if matcher.finished or not choices:
            break
        ids.append(chance.choice(choices))
        matcher.accept(ids[-1])
        ids += matcher.forced()
    found = matcher.ending(MUCH)
    assert found is not None
    assert list(violations(json.loads(codec.decode([*ids, *found])), short.schema)) == []
    for token in found:
        assert matcher.mask()[token]
        matcher.accept(token)
    assert matcher.complete
