"""The real models: their own template, their own tokens, and calls that mean something."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings

from agentkit.messages import (
    Assistant,
    Message,
    ToolCall,
    ToolSpec,
    assistant,
    system,
    text_of,
    tool_result,
    user,
)
from agentkit.models.call_rules import says_something_new
from agentkit.models.dialects import choose_dialect, encode
from agentkit.models.dialects.protocol import describe_tool
from agentkit.models.local_generator import LocalGenerator
from agentkit.models.protocols import CallTools, ChoiceRequest, Finished, GenerationRequest, ReplyStart
from agentkit.models.resolve import resolve
from agentkit.models.schema_check import violations
from agentkit.models.tokenizer_file import load_codec
from agentkit.models.tokens import sanitise
from tests.models.nasty_text import nasty_texts

pytestmark = pytest.mark.weights
ORDER = ToolSpec(
    name="track_order",
    description="Tells where an order is.",
    parameters={
        "type": "object",
        "properties": {"order_id": {"type": "string", "pattern": "^[0-9]{4}$"}},
        "required": ["order_id"],
    },
)
WEATHER = ToolSpec(
    name="get_weather",
    description="The weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city"],
    },
)
CALL = ToolCall(id="call_1", name="get_weather", arguments={"city": 'Köln "x"\n'})
TRANSCRIPT: list[Message] = [
    system("You are kind."),
    user("Hello, what is up?\n\nBye"),
    assistant("Fine."),
    user("The weather?"),
    assistant("Let me see.", [CALL, CALL]),
    tool_result(CALL, "sunny"),
    tool_result(CALL, "rain\n"),
    assistant("It is sunny."),
    user("Thanks"),
]


@pytest.fixture(scope="module")
def qwen() -> Iterator[LocalGenerator]:
    generator = LocalGenerator.load(resolve("qwen2.5-coder-0.5b"))
    yield generator
    generator.close()


@pytest.fixture(scope="module")
def smollm() -> Iterator[LocalGenerator]:
    generator = LocalGenerator.load(resolve("smollm2-135m"))
    yield generator
    generator.close()


def own_rendering(name: str, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[int]:
    """What the model's own chat template makes of it, rendered and encoded by transformers."""
    from transformers import PreTrainedTokenizerFast

    folder = resolve(name).path
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(folder / "tokenizer.json")
    )
    tokenizer.chat_template = (folder / "chat_template.jinja").read_text("utf-8")

    def plain(message: Message) -> dict[str, Any]:
        result: dict[str, Any] = {"role": message.role, "content": text_of(message)}
        if isinstance(message, Assistant) and message.calls:
            functions = [{"name": call.name, "arguments": call.arguments} for call in message.calls]
            result["tool_calls"] = [{"type": "function", "function": function} for function in functions]
        return result

    ids: list[int] = tokenizer.apply_chat_template(
        [plain(message) for message in messages],
        tools=[json.loads(describe_tool(tool)) for tool in tools] or None,
        add_generation_prompt=True,
        return_dict=False,
    )
    return ids


@pytest.mark.parametrize("tools", [[], [WEATHER, ORDER]], ids=["no tools", "tools"])
@pytest.mark.parametrize("length", [2, 4, 7, 9])
@pytest.mark.parametrize("first", [0, 1], ids=["system", "no system"])
def test_qwen_reads_the_same_tokens_as_from_its_own_template(
    qwen: LocalGenerator, tools: list[ToolSpec], length: int, first: int
) -> None:
    messages = TRANSCRIPT[first:length]
    assert encode(qwen.dialect.render(messages, tools), qwen.codec) == own_rendering(
        qwen.name, messages, tools
    )


@pytest.mark.parametrize("first", [0, 1], ids=["system", "no system"])
def test_smollm_reads_the_same_tokens_as_from_its_own_template(smollm: LocalGenerator, first: int) -> None:
    messages = TRANSCRIPT[first:4]
    assert smollm.dialect.name == "smollm"
    assert encode(smollm.dialect.render(messages, []), smollm.codec) == own_rendering(
        smollm.name, messages, []
    )


def test_the_plain_dialect_learns_the_same_from_the_template(qwen: LocalGenerator) -> None:
    folder = resolve(qwen.name).path
    template = (folder / "chat_template.jinja").read_text("utf-8")
    plain = choose_dialect("plain", codec=qwen.codec, chat_template=template, variables={}, model="qwen")
    messages = TRANSCRIPT[:4]
    assert qwen.codec.decode(encode(plain.render(messages, []), qwen.codec)) == qwen.codec.decode(
        own_rendering(qwen.name, messages, [])
    )
    assert plain.end_tokens == ("<|im_end|>",)


@pytest.mark.parametrize("name", ["qwen2.5-coder-0.5b", "smollm2-135m"])
def test_no_text_yields_a_control_token_of_a_real_model(name: str) -> None:
    path = resolve(name).path / "tokenizer.json"
    codec = load_codec(path.read_text("utf-8"), where=str(path))

    @settings(max_examples=300)
    @given(text=nasty_texts)
    def holds(text: str) -> None:
        ids = codec.encode_text(text)
        assert codec.control_ids.isdisjoint(ids)
        kept = {
            one: one if codec.decode(codec.encode_text(one)) == one else "\ufffd" for one in sanitise(text)
        }
        assert codec.decode(ids) == "".join(kept[one] for one in sanitise(text))

    holds()


@pytest.mark.parametrize("name", ["qwen", "smollm"])
def test_a_question_becomes_a_call_with_few_forward_passes(name: str, request: pytest.FixtureRequest) -> None:
    generator: LocalGenerator = request.getfixturevalue(name)
    question: list[Message] = [user("Where is my order 1042?")]
    *_, last = generator.generate(
        GenerationRequest(messages=question, tools=[ORDER], constraint=CallTools(allow_text=False))
    )
    assert isinstance(last, Finished)
    assert [(call.name, call.arguments) for call in last.reply.calls] == [
        ("track_order", {"order_id": "1042"})
    ]
    assert last.usage.forward_passes <= 7 < last.usage.generated_tokens


@pytest.mark.parametrize("name", ["qwen", "smollm"])
def test_a_note_that_meets_the_token_limit_is_closed_and_says_so(
    name: str, request: pytest.FixtureRequest
) -> None:
    generator: LocalGenerator = request.getfixturevalue(name)
    note: dict[str, Any] = {
        "type": "object",
        "properties": {
            "story": {"type": "string", "minLength": 200},
            "kind": {"enum": ["report", "complaint"]},
        },
        "required": ["story", "kind"],
    }
    write = ToolSpec(name="write_note", description="Write a long story of what happened.", parameters=note)
    *_, last = generator.generate(
        GenerationRequest(
            messages=[user("My table arrived with a crack. Write down a very long story about it.")],
            tools=[write],
            constraint=CallTools(allow_text=False),
            max_tokens=45,
        )
    )
    assert isinstance(last, Finished)
    assert last.finish == "length"
    assert last.usage.generated_tokens <= 45
    (call,) = last.reply.calls
    assert list(violations(call.arguments, note)) == []


def test_qwen_tells_a_question_for_a_tool_from_small_talk(qwen: LocalGenerator) -> None:
    def calling(text: str) -> float:
        question = ChoiceRequest(
            messages=[user(text)], options=(ReplyStart.TOOL_CALL,), tools=[ORDER, WEATHER]
        )
        return math.exp(qwen.choose(question)[0])

    assert calling("Where is my order 1042?") > 0.6 > calling("Thank you, you have been very kind!")


def test_several_calls_end_where_the_question_does(qwen: LocalGenerator) -> None:
    messages: list[Message] = [user("How is the weather in Paris and in Madrid?")]
    wide = CallTools(allow_text=False, max_calls=6, further=says_something_new(messages))
    *_, last = qwen.generate(
        GenerationRequest(messages=messages, tools=[WEATHER], constraint=wide, max_tokens=300)
    )
    assert isinstance(last, Finished)
    assert [call.arguments["city"] for call in last.reply.calls] == ["Paris", "Madrid"]


def test_the_tokens_of_a_reply_are_reused_in_the_next_turn(smollm: LocalGenerator) -> None:
    messages: list[Message] = [user("Name three colours.")]
    *_, first = smollm.generate(GenerationRequest(messages=messages, max_tokens=60))
    assert isinstance(first, Finished)
    messages += [first.reply, user("And a fourth?")]
    *_, second = smollm.generate(GenerationRequest(messages=messages, max_tokens=5))
    assert isinstance(second, Finished)
    if first.finish == "stop":
        assert second.usage.cached_tokens >= first.usage.prompt_tokens + first.usage.generated_tokens - 1
