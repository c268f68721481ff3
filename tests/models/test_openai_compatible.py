"""Model servers that answer: what is sent to them, and what of their replies is let through."""

from __future__ import annotations

import math
from typing import Any

import pytest

from agentkit.errors import (
    ConstraintUnmet,
    ConstraintUnsupported,
    ModelServerError,
)
from agentkit.knowledge.answerability import Judge
from agentkit.knowledge.passages import Passage
from agentkit.messages import Message, ToolCall, assistant, system, tool_result, user
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Finished,
    GenerationRequest,
    Grammar,
    JsonSchema,
    Regex,
    ReplyStart,
    Sampling,
)
from agentkit.prompts import PromptLibrary
from agentkit.testing import HashingEncoder
from tests.models.model_server import (
    DONE,
    WEATHER,
    Answer,
    ModelServer,
    asks,
    calls,
    delta,
    fails,
    run,
    says,
)

PORTO = ("get_weather", '{"city": "Porto"}')
LIMA = ("get_weather", '{"city": "Lima"}')
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
}


def called(finished: Finished) -> list[tuple[str, str, dict[str, Any]]]:
    return [(call.id, call.name, dict(call.arguments)) for call in finished.reply.calls]


# What is sent


def test_a_conversation_with_calls_and_results_is_sent_with_their_ids() -> None:
    call = ToolCall(id="turn.1", name="get_weather", arguments={"city": "Porto"})
    transcript: list[Message] = [
        system("Be brief."),
        user("Weather?"),
        assistant(calls=[call]),
        tool_result(call, "Ensoleillé"),
    ]
    sampling = Sampling(temperature=0.5, top_p=0.9, seed=7)
    with ModelServer(says("Sunny.")) as server:
        run(server, GenerationRequest(transcript, tools=[WEATHER], sampling=sampling, max_tokens=9))
    (sent,) = server.requests
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "turn.1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city": "Porto"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "turn.1", "content": "Ensoleillé"},
    ]
    assert (sent["model"], sent["max_tokens"], sent["temperature"]) == ("tiny", 9, 0.5)
    assert (sent["top_p"], sent["seed"], sent["stream"], sent["tool_choice"]) == (0.9, 7, True, "none")


def test_the_narrowed_tools_are_offered_and_calls_are_required_only_where_text_is_no_reply() -> None:
    narrow = WEATHER.model_copy(update={"name": "get_weather_of_porto"})
    with ModelServer(calls(("get_weather_of_porto", PORTO[1]))) as server:
        for allow_text in (True, False):
            run(server, asks(CallTools(tools=[narrow], allow_text=allow_text)))
        run(server, asks(CallTools(max_calls=0)))
    assert [request["tool_choice"] for request in server.requests] == ["auto", "required", "none"]
    assert server.requests[0]["tools"][0]["function"] == {
        "name": "get_weather_of_porto",
        "description": "The weather in a city.",
        "parameters": narrow.parameters,
    }
    assert server.requests[0]["parallel_tool_calls"] is False


def test_stop_texts_and_all_settings_of_sampling_are_sent() -> None:
    sampling = Sampling(0.5, top_p=0.9, top_k=40, min_p=0.1, seed=7)
    with ModelServer(says("a")) as server:
        run(server, asks(sampling=sampling, stop=["END"]))
        run(server, asks(CallTools(max_calls=0), stop=["END"]))
    wanted = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "seed": 7, "stop": ["END"]}
    assert {name: server.requests[0][name] for name in wanted} == wanted
    assert "stop" not in server.requests[1]


@pytest.mark.parametrize(
    "request_",
    [
        asks(Regex("a+")),
        asks(Grammar('start: "a"')),
        asks(JsonSchema({"contains": {"type": "string"}})),
        asks(prefix="Dear "),
        asks(CallTools(tools=(), allow_text=False)),
        asks(log_probabilities=True),
    ],
    ids=["regex", "grammar", "schema that cannot be checked", "prefix", "no tool to call", "probabilities"],
)
def test_what_cannot_be_asked_for_or_checked_is_refused_before_anything_is_sent(
    request_: GenerationRequest,
) -> None:
    with ModelServer(says("a")) as server, pytest.raises(ConstraintUnsupported):
        run(server, request_)
    assert server.requests == []


# What comes back


def test_text_is_passed_on_as_it_comes_with_what_the_server_counted() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}}
    with ModelServer(says("Hel", "lo", "!", usage=usage)) as server:
        chunks, finished = run(server, asks())
    assert chunks == ["Hel", "lo", "!"]
    assert (finished.text, finished.finish, finished.reply) == ("Hello!", "stop", assistant("Hello!"))
    counted = finished.usage
    assert (counted.prompt_tokens, counted.generated_tokens, counted.cached_tokens) == (12, 3, 8)


def test_a_reply_that_the_server_does_not_count_is_estimated() -> None:
    with ModelServer(says("Hello there")) as server:
        _, finished = run(server, asks())
    assert finished.usage.generated_tokens >= 3
    assert finished.usage.prompt_tokens > 0


def test_an_answer_that_is_not_streamed_is_read_too() -> None:
    whole = fails(200, {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]})
    with ModelServer(whole) as server:
        assert run(server, asks())[1].text == "Hello"


def test_characters_that_are_cut_between_packets_arrive_whole() -> None:
    body = delta(content="x").replace(b"x", "é漢😀".encode()) + delta("stop") + DONE
    with ModelServer(Answer([body[i : i + 1] for i in range(len(body))])) as server:
        assert run(server, asks())[0] == ["é漢😀"]


def test_a_character_whose_halves_come_in_two_pieces_arrives_whole() -> None:
    with ModelServer(says("a\ud83d", "\ude00b", "\ud83d")) as server:
        chunks, finished = run(server, asks())
    assert chunks == ["a", "😀b", "\ufffd"]
    assert finished.text == "a😀b\ufffd"


def test_notes_and_foreign_line_ends_in_the_stream_are_understood() -> None:
    body = b": keep-alive\r\n\r\nevent: message\r\nid: 1\r\n" + delta("stop", content="Hi").replace(
        b"\n", b"\r\n"
    )
    with ModelServer(Answer([body, DONE])) as server:
        assert run(server, asks())[1].text == "Hi"


def test_a_reply_cut_by_the_token_limit_says_so() -> None:
    with ModelServer(says("Half a", finish="length")) as server:
        assert run(server, asks())[1].finish == "length"


# Calls


def test_calls_come_with_ids_of_their_own_and_checked_arguments() -> None:
    with ModelServer(calls(PORTO, LIMA)) as server:
        chunks, finished = run(server, asks(CallTools(max_calls=2)))
    assert called(finished) == [
        ("call_1", "get_weather", {"city": "Porto"}),
        ("call_2", "get_weather", {"city": "Lima"}),
    ]
    assert (chunks, finished.finish) == ([], "stop")


def test_calls_in_the_form_of_ollama_are_understood() -> None:
    made = [
        {"index": 0, "id": f"call_{city}", "function": {"name": "get_weather", "arguments": {"city": city}}}
        for city in ("Porto", "Lima")
    ]
    with ModelServer(Answer([delta("tool_calls", tool_calls=made), DONE])) as server:
        _, finished = run(server, asks(CallTools(max_calls=2)))
    assert [call.arguments["city"] for call in finished.reply.calls] == ["Porto", "Lima"]


def test_calls_beyond_the_allowed_number_or_not_wanted_are_left_out() -> None:
    with ModelServer(calls(PORTO, LIMA)) as server:
        assert len(run(server, asks(CallTools(max_calls=1)))[1].reply.calls) == 1
        unwanted = CallTools(max_calls=2, further=lambda calls: False)
        assert len(run(server, asks(unwanted))[1].reply.calls) == 1
        assert run(server, asks())[1].reply == assistant("")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (("launch_rocket", "{}"), "launch_rocket"),
        (("get_weather", '{"city": "Atlantis"}'), "Atlantis"),
        (("get_weather", "{}"), "lacks city"),
        (("get_weather", '{"city": "Porto", "units": "C"}'), "units"),
        (("get_weather", '{"city": "Porto"'), "no JSON"),
        (("get_weather", "Porto"), "no JSON"),
        (("get_weather", '["Porto"]'), "no object"),
        (("get_weather", '{"city": NaN}'), "NaN"),
        (("get_weather", '{"city": "\\ud83d"}'), "get_weather"),
        (("get_weather", "[" * 100_000), "get_weather"),
    ],
    ids=[
        "unknown",
        "value",
        "lacking",
        "invented",
        "cut",
        "no JSON",
        "list",
        "NaN",
        "half character",
        "deep",
    ],
)
def test_a_call_that_was_not_offered_or_does_not_fit_its_schema_is_refused(
    made: tuple[str, str], said: str
) -> None:
    with ModelServer(calls(PORTO, made)) as server:
        with pytest.raises(ConstraintUnmet, match=said) as caught:
            run(server, asks(CallTools(max_calls=2)))
        assert server.address in caught.value.message


def test_half_a_call_is_never_returned() -> None:
    with (
        ModelServer(calls(PORTO, ("get_weather", '{"ci'), finish="length")) as server,
        pytest.raises(ConstraintUnmet, match="cut"),
    ):
        run(server, asks(CallTools(max_calls=2)))


def test_text_where_a_call_is_required_is_refused_and_not_passed_on() -> None:
    with ModelServer(says("I would rather talk.")) as server:
        generator = server.generator()
        chunks: list[object] = []
        with pytest.raises(ConstraintUnmet, match="text where a call was required"):
            chunks.extend(generator.generate(asks(CallTools(allow_text=False))))
        generator.close()
    assert chunks == []


# JSON


def test_a_json_value_is_passed_on_once_it_is_complete_and_checked() -> None:
    with ModelServer(says('{"answer"', ": 42}")) as server:
        chunks, finished = run(server, asks(JsonSchema(ANSWER_SCHEMA)))
    assert chunks == [finished.text] == ['{"answer": 42}']
    assert server.requests[0]["response_format"]["json_schema"]["schema"] == ANSWER_SCHEMA


@pytest.mark.parametrize("text", ['{"answer": "42"}', "The answer is 42.", '{"answer": 42', ""])
def test_a_text_that_does_not_fit_the_schema_is_refused(text: str) -> None:
    with ModelServer(says(text)) as server, pytest.raises(ConstraintUnmet):
        run(server, asks(JsonSchema(ANSWER_SCHEMA)))


# Choices


def ranks(**probabilities: float) -> Answer:
    ranked = [{"token": token, "logprob": math.log(p)} for token, p in probabilities.items()]
    content = [{**ranked[0], "top_logprobs": ranked}]
    choice = {"message": {"content": "x"}, "logprobs": {"content": content}, "finish_reason": "length"}
    return fails(200, {"choices": [choice]})


def test_a_choice_is_read_from_the_probabilities_of_the_first_token() -> None:
    with ModelServer(ranks(Yes=0.7, No=0.2, Perhaps=0.01)) as server:
        generator = server.generator()
        found = generator.choose(ChoiceRequest([user("?")], ("No", "Yes", "Dunno")))
        generator.close()
    assert [math.exp(p) for p in found] == pytest.approx([0.2, 0.7, 0.01])
    assert (server.requests[0]["max_tokens"], server.requests[0]["top_logprobs"]) == (1, 20)


def test_a_choice_that_cannot_be_read_is_refused() -> None:
    with ModelServer(ranks(Dec=0.7, No=0.2)) as server:
        generator = server.generator()
        for request in (
            ChoiceRequest([user("?")], ("Declined",)),
            ChoiceRequest([user("?")], (ReplyStart.TOOL_CALL,)),
            ChoiceRequest([user("?")], ("No",), prefix="I say "),
        ):
            with pytest.raises(ConstraintUnsupported):
                generator.choose(request)
        with pytest.raises(ValueError, match="empty"):
            generator.choose(ChoiceRequest([user("?")], ("",)))
        generator.close()
    with ModelServer(says("Yes")) as server:
        generator = server.generator()
        with pytest.raises(ModelServerError, match="how probable"):
            generator.choose(ChoiceRequest([user("?")], ("Yes",)))
        generator.close()


def test_evidence_is_judged_by_the_encoder_alone_and_the_server_is_not_asked() -> None:
    passage = Passage(
        text="Pickup is free.", sentences=("Pickup is free.",), similarity=0.9, sentence_similarities=(0.9,)
    )
    with ModelServer(says("Yes")) as server:
        generator = server.generator(model="qwen2.5-coder-0.5b")
        judgement = Judge.for_models(generator, HashingEncoder(), PromptLibrary()).judge(
            "Is pickup free?", [passage]
        )
        generator.close()
    assert judgement.judge == "encoder"
    assert server.requests == []
