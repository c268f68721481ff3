from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import ConstraintUnmet, ConstraintUnsupported
from agentkit.messages import ToolSpec, text_of, user
from agentkit.models.constraints import ConstraintCompiler, TokenMatcher
from agentkit.models.dialects import Dialect, HermesDialect, PlainDialect, encode, smollm_dialect
from agentkit.models.dialects.chat_template import transcript_wrapping
from agentkit.models.protocols import (
    CallTools,
    Constraint,
    Finished,
    FreeText,
    GenerationRequest,
    Grammar,
    JsonSchema,
    Regex,
)
from agentkit.models.schema_check import violations
from agentkit.models.tokenizer_file import TokenizerCodec
from agentkit.models.tokens import TokenCodec
from agentkit.testing import ByteTokenizer, RandomGenerator
from tests.models.small_tokenizers import byte_level_json, sentencepiece_json, word_piece_json

BYTES = ByteTokenizer(unused=2)
BPE = TokenizerCodec(byte_level_json())
DIALECTS: dict[str, Dialect] = {
    "hermes": HermesDialect(),
    "smollm": smollm_dialect(),
    "plain": PlainDialect(transcript_wrapping(), end_tokens=("<|im_end|>",)),
}
ALL = [pytest.param(dialect, id=name) for name, dialect in DIALECTS.items()]
WEATHER = ToolSpec(
    name="get_weather",
    description="",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 12},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "unit": {"enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
)
ORDER = ToolSpec(
    name="find.order",
    description="",
    parameters={
        "type": "object",
        "properties": {"order_id": {"type": "string", "pattern": "^[0-9]{4}$"}},
        "required": ["order_id"],
    },
)
TOOLS = (WEATHER, ORDER)


def compiler(codec: TokenCodec = BYTES, dialect: Dialect = DIALECTS["hermes"]) -> ConstraintCompiler:
    end = codec.control_id("<|im_end|>") or codec.control_id("</s>")
    assert end is not None
    return ConstraintCompiler(codec, dialect, [end])


def accepts(constraint: Constraint, text: str, dialect: Dialect = DIALECTS["hermes"]) -> bool:
    """Whether the constraint lets `text` through; tags are control tokens where the dialect has them."""
    matcher = compiler(dialect=dialect).matcher(constraint, TOOLS)
    ids = BYTES.encode_markup(text) if dialect.name == "hermes" else BYTES.encode_text(text)
    return _accepts(matcher, ids)


def _accepts(matcher: TokenMatcher, ids: Sequence[int]) -> bool:
    for token in ids:
        if matcher.finished or not matcher.mask()[token]:
            return False
        matcher.accept(token)
    return matcher.complete


CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Köln"}}\n</tool_call>'
OTHER = '<tool_call>\n{"name": "find.order", "arguments": {"order_id": "1042"}}\n</tool_call>'


@pytest.mark.parametrize("dialect", [ALL[0], ALL[1]])
def test_calls_are_written_as_the_dialect_writes_them(dialect: Dialect) -> None:
    required = CallTools(allow_text=False, max_calls=2)
    assert accepts(required, CALL, dialect)
    assert accepts(required, f"{CALL}\n{OTHER}", dialect)
    assert not accepts(required, f"{CALL}\n{OTHER}\n{CALL}", dialect)
    assert not accepts(required, "Hello", dialect)
    assert not accepts(required, CALL.replace("Köln", "0123456789012"), dialect)
    assert not accepts(required, CALL.replace("get_weather", "get_money"), dialect)
    assert not accepts(required, OTHER.replace("1042", "10425"), dialect)
    assert not accepts(required, CALL.replace('"Köln"', '"Köln", "more": 1'), dialect)


def test_plain_calls_are_one_object_or_an_array() -> None:
    plain, one = DIALECTS["plain"], '{"name": "get_weather", "arguments": {"city": "Rome"}}'
    assert accepts(CallTools(allow_text=False), one, plain)
    assert not accepts(CallTools(allow_text=False), f"[{one}]", plain)
    assert accepts(CallTools(allow_text=False, max_calls=2), f"[{one}, {one}]", plain)
    assert not accepts(CallTools(allow_text=False, max_calls=2), f"[{one}]", plain)
    assert not accepts(CallTools(max_calls=0), f"See:\n{one}", plain)


@pytest.mark.parametrize("dialect", ALL)
def test_text_is_allowed_where_the_request_allows_it_and_holds_no_call(dialect: Dialect) -> None:
    assert accepts(CallTools(allow_text=True), "It is sunny.", dialect)
    assert accepts(CallTools(max_calls=0), "It is sunny.", dialect)
    assert not accepts(CallTools(allow_text=True), "", dialect)
    call = "".join(s.text for s in dialect.render_reply(dialect.parse(CALL)))
    assert not accepts(CallTools(max_calls=0), f"First {call}" if dialect.name != "plain" else call, dialect)


def test_the_constraint_may_be_narrower_than_the_tools_of_the_prompt() -> None:
    narrow = CallTools(allow_text=False, tools=[ORDER])
    assert accepts(narrow, OTHER)
    assert not accepts(narrow, CALL)


def test_calling_without_a_tool_is_refused() -> None:
    with pytest.raises(ConstraintUnsupported, match="no tool to call"):
        compiler().matcher(CallTools(allow_text=False), [])


def test_properties_come_in_the_order_of_the_schema_and_may_be_left_out() -> None:
    required = CallTools(allow_text=False)
    full = CALL.replace('"Köln"', '"Köln", "days": 3, "unit": "celsius"')
    assert accepts(required, full)
    assert accepts(required, full.replace('"days": 3, ', ""))
    assert not accepts(required, CALL.replace('"city": "Köln"', '"days": 3'))


def test_free_text_holds_no_control_token_except_the_end() -> None:
    mask = compiler().matcher(FreeText(), ()).mask()
    allowed = set(numpy.flatnonzero(mask).tolist())
    assert allowed == set(range(256)) | {BYTES.control_id("<|im_end|>")}


def test_the_end_is_allowed_exactly_when_the_text_is_complete() -> None:
    matcher = compiler().matcher(Regex("ab?"), ())
    end = BYTES.control_id("<|im_end|>")
    assert matcher.forced() == [ord("a")]
    assert matcher.complete
    assert numpy.flatnonzero(matcher.mask()).tolist() == [ord("b"), end]
    matcher.accept(ord("b"))
    assert matcher.finished


@pytest.mark.parametrize(
    "codec", [BYTES, BPE, TokenizerCodec(sentencepiece_json())], ids=["bytes", "bpe", "spm"]
)
def test_forced_text_is_never_a_control_token(codec: TokenCodec) -> None:
    # llguidance by itself forces the one token <|im_start|> here, and then rejects it.
    says = "or <|im_start|>system</s> <tool_call>"
    matcher = compiler(codec).matcher(JsonSchema({"enum": [says]}), ())
    ids: list[int] = []
    while not matcher.finished:
        ids += matcher.forced()
        if not matcher.finished:
            ids.append(int(numpy.flatnonzero(matcher.mask())[-1]))
            matcher.accept(ids[-1])
    assert codec.control_ids.isdisjoint(ids)
    assert json.loads(codec.decode(ids)) == says


def test_forced_tokens_are_those_of_the_text_and_few_choices_are_left() -> None:
    matcher = compiler(BPE).matcher(CallTools(allow_text=False), [ORDER])
    forced = matcher.forced()
    assert BPE.decode(forced).startswith('<tool_call>\n{"name": "find.order", "arguments": {"order_id": ')
    assert forced[0] == BPE.control_id("<tool_call>")
    assert tuple(forced[1:]) == BPE.encode_text(BPE.decode(forced[1:]))


@pytest.mark.parametrize(
    "constraint",
    [
        JsonSchema({"type": "string", "pattern": "(?=a)b"}),
        JsonSchema({"type": "string", "format": "moon-phase"}),
        JsonSchema({"oneOf": [{"type": "integer"}, {"type": "number"}]}),
        JsonSchema({"$ref": "https://example.org/schema"}),
        JsonSchema({"type": "float"}),
        JsonSchema({"type": "array", "uniqueItems": True}),
        Regex("(?=a)b"),
        Regex("("),
        Grammar("start: missing"),
        Grammar("no grammar"),
    ],
    ids=str,
)
def test_what_cannot_be_enforced_is_refused_before_anything_is_written(constraint: Constraint) -> None:
    with pytest.raises(ConstraintUnsupported) as failure:
        compiler().matcher(constraint, ())
    assert failure.value.hint


def test_a_tool_whose_schema_cannot_be_enforced_is_named() -> None:
    tool = ToolSpec(name="odd", description="", parameters={"type": "object", "contains": {}})
    with pytest.raises(ConstraintUnsupported, match="tool odd"):
        compiler().matcher(CallTools(), [tool])


def test_a_schema_cannot_make_the_engine_lenient() -> None:
    schema = {
        "x-guidance": {"lenient": True, "whitespace_flexible": True},
        "type": "string",
        "format": "moon",
    }
    with pytest.raises(ConstraintUnsupported, match="moon"):
        compiler().matcher(JsonSchema(schema), ())
    assert not accepts(JsonSchema({**schema, "format": "date"}), '"tomorrow"')


def test_a_tokenizer_without_bytes_can_serve_no_constraint() -> None:
    codec = TokenizerCodec(word_piece_json())
    with pytest.raises(ConstraintUnsupported, match="tokenizer"):
        ConstraintCompiler(codec, DIALECTS["plain"], [0]).matcher(Regex("a"), ())


def test_no_escape_can_spell_half_a_character() -> None:
    assert not accepts(JsonSchema({"type": "string"}), '"\\ud800"')
    assert accepts(JsonSchema({"type": "string"}), '"\\n\\"é"')


_properties = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8),
    st.one_of(
        st.just({"type": "integer", "minimum": -5, "maximum": 5000}),
        st.just({"type": "number"}),
        st.just({"type": "boolean"}),
        st.just({"type": "null"}),
        st.just({"type": "string", "maxLength": 10}),
        st.just({"type": "string", "format": "date"}),
        st.just({"enum": ["a", 'quote " and <|im_start|>', 3, None]}),
        st.just({"type": "array", "items": {"type": "boolean"}, "maxItems": 3}),
        st.just({"anyOf": [{"type": "boolean"}, {"const": "<tool_call>"}]}),
        st.just({"type": "object", "properties": {"x": {"type": "boolean"}}, "required": ["x"]}),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("dialect", ALL)
@given(properties=_properties, seed=st.integers(0, 2**32))
def test_whatever_is_written_at_random_fits_its_schema(
    dialect: Dialect, properties: dict[str, Any], seed: int
) -> None:
    parameters = {"type": "object", "properties": properties, "required": list(properties)[::2]}
    tool = ToolSpec(name="any", description="", parameters=parameters)
    generator = RandomGenerator(seed, dialect=dialect)
    request = GenerationRequest(
        messages=[user("x")],
        tools=[tool],
        constraint=CallTools(allow_text=False, max_calls=2),
        max_tokens=3000,
    )
    *_, last = generator.generate(request)
    assert isinstance(last, Finished)
    assert 1 <= len(last.reply.calls) <= 2
    for call in last.reply.calls:
        assert call.name == "any"
        assert list(violations(call.arguments, parameters)) == []
    assert encode(dialect.render_reply(last.reply), BYTES)  # can stand in the next prompt


@given(seed=st.integers(0, 2**32))
def test_random_text_and_patterns_keep_to_their_constraints(seed: int) -> None:
    generator = RandomGenerator(seed)
    for constraint in (FreeText(), CallTools(), Regex("[0-9]{4}")):
        request = GenerationRequest(messages=[], tools=TOOLS, constraint=constraint, max_tokens=400)
        try:
            *_, last = generator.generate(request)
        except ConstraintUnmet:
            continue
        assert isinstance(last, Finished)
        assert not isinstance(constraint, Regex) or text_of(last.reply).isdigit()
        assert not isinstance(constraint, FreeText) or last.reply.calls == ()
