"""Model servers: a real one on this machine that answers well, badly, late or not at all."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentkit.bot.config import load_config
from agentkit.errors import (
    AgentKitError,
    ConfigurationError,
    ConstraintUnmet,
    ConstraintUnsupported,
    ContextOverflow,
    ModelNotFound,
    ModelServerError,
)
from agentkit.knowledge.answerability import Judge
from agentkit.knowledge.passages import Passage
from agentkit.messages import ToolCall, ToolSpec, assistant, system, tool_result, user
from agentkit.models import Generator, load_generator, load_generator_lazily
from agentkit.models.openai_compatible import Patience, ServerAddress, ServerGenerator, server_address
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Constraint,
    Finished,
    FreeText,
    GenerationRequest,
    Grammar,
    JsonSchema,
    Regex,
    ReplyStart,
    Sampling,
    TextChunk,
)
from agentkit.prompts import PromptLibrary
from agentkit.testing import HashingEncoder
from tests.models.model_server import (
    DONE,
    QUICK,
    SILENCE,
    Answer,
    ModelServer,
    calls,
    delta,
    event,
    fails,
    says,
)

WEATHER = ToolSpec(
    name="get_weather",
    description="The weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Porto", "Lima"], "description": "Where."}},
        "required": ["city"],
    },
)
PORTO = ("get_weather", '{"city": "Porto"}')
LIMA = ("get_weather", '{"city": "Lima"}')
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
}


def asks(constraint: Constraint | None = None, **more: Any) -> GenerationRequest:
    tools = (WEATHER,) if isinstance(constraint, CallTools) else ()
    return GenerationRequest([user("hi")], tools=tools, constraint=constraint or FreeText(), **more)


def run(server: ModelServer, request: GenerationRequest, **options: Any) -> tuple[list[str], Finished]:
    """The chunks and the end of a generation."""
    generator = server.generator(**options)
    try:
        *chunks, finished = generator.generate(request)
    finally:
        generator.close()
    assert isinstance(finished, Finished)
    return [chunk.text for chunk in chunks if isinstance(chunk, TextChunk)], finished


def called(finished: Finished) -> list[tuple[str, str, dict[str, Any]]]:
    return [(call.id, call.name, dict(call.arguments)) for call in finished.reply.calls]


# What is sent


def test_a_conversation_with_calls_and_results_is_sent_with_their_ids() -> None:
    call = ToolCall(id="turn.1", name="get_weather", arguments={"city": "Porto"})
    transcript = [
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


@pytest.mark.parametrize(
    "request_",
    [
        asks(Regex("a+")),
        asks(Grammar('start: "a"')),
        asks(JsonSchema({"not": {"type": "string"}})),
        asks(prefix="Dear "),
        asks(CallTools(tools=(), allow_text=False)),
    ],
    ids=["regex", "grammar", "schema that cannot be checked", "prefix", "no tool to call"],
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
        chunks = []
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


# Bad servers


def test_no_server_at_all_is_reported_with_its_address() -> None:
    with ModelServer(says("x")) as server:
        address = server.address
    generator = ServerGenerator(ServerAddress(address, "tiny", is_local=True), key="", patience=QUICK)
    with pytest.raises(ModelServerError, match="No server answers") as caught:
        list(generator.generate(asks()))
    assert address in caught.value.message
    with pytest.raises(ModelServerError, match="No server answers"):
        load_generator(f"{address}#tiny")
    generator.close()


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (fails(401, {"error": {"message": "Invalid key"}}), ModelServerError, "let us in"),
        (fails(404, {"error": {"message": "model 'tiny' not found"}}), ModelNotFound, "no model `tiny`"),
        (fails(404, {"detail": "Not Found"}), ModelServerError, "no chat completions"),
        (fails(400, {"message": "no tool parser", "code": 400}), ModelServerError, "no tool parser"),
        (fails(302, {}, Location="http://example.invalid/"), ModelServerError, "status 302"),
        (Answer([b"<html>welcome</html>"], kind="text/html"), ModelServerError, "web page"),
        (Answer([b"<html>sorry</html>"], 403, kind="text/html"), ModelServerError, "let us in"),
        (Answer([b"data: {oops\n\n"]), ModelServerError, "oops"),
        (Answer([b"data: [1, 2]\n\n"]), ModelServerError, "no reply"),
        (Answer([b"\xff\xfe\x00garbage\n"]), ModelServerError, "no reply"),
        (Answer([b"data: " + b"[" * 100_000 + b"\n\n"]), ModelServerError, "no reply"),
        (Answer([]), ModelServerError, "before it was complete"),
        (Answer([DONE]), ModelServerError, "before it was complete"),
        (Answer([delta(content="Hel")]), ModelServerError, "before it was complete"),
        (Answer([delta(content="Hel")], ending="drop"), ModelServerError, "was lost"),
        (Answer([event({"error": {"message": "out of memory"}})]), ModelServerError, "out of memory"),
        (Answer([b'error: {"message": "out of memory"}\n\n']), ModelServerError, "out of memory"),
    ],
)
def test_an_answer_that_is_no_reply_is_an_error_that_names_the_server(
    answer: Answer, kind: type[AgentKitError], said: str
) -> None:
    with ModelServer(answer) as server:
        with pytest.raises(kind, match=said) as caught:
            run(server, asks())
        assert server.address in caught.value.message
        assert caught.value.hint
        assert len(server.requests) == 1


def test_a_connection_that_drops_in_the_middle_of_a_call_yields_no_call() -> None:
    piece = {"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": '{"city": "Porto"}'}}
    dropped = Answer([delta(tool_calls=[piece])], ending="drop")
    with ModelServer(dropped) as server, pytest.raises(ModelServerError, match="was lost"):
        run(server, asks(CallTools()))


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "the request exceeds the limit", "type": "exceed_context_size_error"}},
        {"message": "This model's maximum context length is 4096 tokens. However, you requested 5000"},
        {"error": {"message": "too long", "code": "context_length_exceeded"}},
    ],
    ids=["llama.cpp", "vLLM", "OpenAI"],
)
@pytest.mark.parametrize("status", [400, 500])
def test_a_prompt_that_is_too_long_is_a_context_overflow(body: object, status: int) -> None:
    with ModelServer(fails(status, body)) as server:
        with pytest.raises(ContextOverflow, match="tiny"):
            run(server, asks())
        assert len(server.requests) == 1


def test_a_busy_server_is_asked_again_as_it_wishes() -> None:
    busy = fails(429, {"error": "slow down"}, Retry_After="0")
    loading = fails(503, {"error": {"message": "Loading model"}})
    with ModelServer(busy, loading, says("Hello")) as server:
        chunks, _ = run(server, asks())
    assert (chunks, len(server.requests)) == (["Hello"], 3)


@pytest.mark.parametrize("wait", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_server_that_wants_too_much_patience_is_left(wait: str) -> None:
    with ModelServer(fails(429, {"error": "tomorrow"}, Retry_After=wait)) as server:
        with pytest.raises(ModelServerError, match="tomorrow"):
            run(server, asks())
        assert len(server.requests) == 1


def test_a_server_that_always_fails_is_given_up_after_some_attempts() -> None:
    with ModelServer(fails(500, {"error": "boom"})) as server:
        with pytest.raises(ModelServerError, match="3 times with status 500: boom"):
            run(server, asks())
        assert len(server.requests) == 3


def test_a_reply_that_has_begun_is_never_asked_for_again() -> None:
    with ModelServer(Answer([delta(content="Hel")], ending="drop"), says("Hello")) as server:
        with pytest.raises(ModelServerError):
            run(server, asks())
        assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [SILENCE, Answer([delta(content="Hel")], ending="hang")])
def test_a_server_that_hangs_is_given_up(answer: Answer) -> None:
    with ModelServer(answer) as server, pytest.raises(ModelServerError, match=r"silent for 0\.2 seconds"):
        run(server, asks(), patience=Patience(silence=0.2))


@pytest.mark.parametrize("answer", [SILENCE, Answer([delta(content="Hel")], ending="hang")])
def test_cancelling_ends_the_reply_and_the_connection(answer: Answer) -> None:
    cancel = threading.Event()
    with ModelServer(answer) as server:
        threading.Timer(0.1, cancel.set).start()
        generator = server.generator()
        *_, finished = generator.generate(asks(cancel=cancel))
        assert isinstance(finished, Finished)
        assert (finished.finish, finished.reply.calls) == ("cancelled", ())
        assert server.left.wait(10)
        generator.close()


def test_a_deadline_ends_the_reply_also_while_the_server_is_silent_or_busy() -> None:
    for answer in (SILENCE, fails(429, {}, Retry_After="20")):
        with ModelServer(answer) as server:
            _, finished = run(server, asks(deadline=time.monotonic() + 0.2))
            assert (finished.finish, finished.text) == ("deadline", "")
    with ModelServer(says("x")) as server:
        assert run(server, asks(deadline=time.monotonic() - 1))[1].finish == "deadline"
        assert server.requests == []


def test_closing_the_iterator_early_ends_the_connection() -> None:
    with ModelServer(Answer([delta(content="Hel")], ending="hang")) as server:
        generator = server.generator()
        stream = generator.generate(asks())
        assert next(stream) == TextChunk("Hel")
        stream.close()  # type: ignore[attr-defined]
        assert server.left.wait(10)
        generator.close()


def test_several_threads_can_ask_at_the_same_time_and_none_is_left_after_closing() -> None:
    texts: list[str] = []

    def ask(generator: Generator) -> None:
        *_, finished = generator.generate(asks())
        assert isinstance(finished, Finished)
        texts.append(finished.text)

    with ModelServer(says("Hello")) as server:
        generator = server.generator()
        threads = [threading.Thread(target=ask, args=(generator,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        generator.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("requests to")]
        with pytest.raises(RuntimeError, match="closed"):
            list(generator.generate(asks()))
        generator.close()
    assert texts == ["Hello"] * 8


def test_closing_the_generator_ends_a_request_of_another_thread() -> None:
    failed: list[BaseException] = []

    def ask(generator: Generator) -> None:
        try:
            list(generator.generate(asks()))
        except RuntimeError as error:
            failed.append(error)

    with ModelServer(SILENCE) as server:
        generator = server.generator()
        thread = threading.Thread(target=ask, args=(generator,))
        thread.start()
        while not server.requests:
            time.sleep(0.01)
        generator.close()
        thread.join()
    assert "closed" in str(failed[0])


# The key


def test_the_key_is_sent_and_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AGENTKIT_API_KEY", "secret-123")
    caplog.set_level(logging.DEBUG)
    refusing = fails(401, {"error": {"message": "Incorrect API key provided: secret-123"}})
    parrot = Answer([b"data: secret-123\n\n"])
    shown = ""
    for answer in (refusing, parrot):
        with ModelServer(answer) as server:
            generator = load_generator_lazily(f"{server.address}#tiny")
            with pytest.raises(ModelServerError) as caught:
                list(generator.generate(asks()))
            shown += repr(generator) + str(vars(generator)) + str(caught.value) + repr(caught.value)
            generator.close()
        assert server.keys == ["Bearer secret-123"]
    assert "secret-123" not in shown + caplog.text


def test_without_a_key_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTKIT_API_KEY", raising=False)
    with ModelServer(says("x")) as server:
        load_generator(f"{server.address}#tiny").close()
    assert server.keys == [None]


def test_a_key_that_cannot_be_sent_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServerGenerator(ServerAddress("http://localhost/v1", "tiny", is_local=True), key="gehe\nim")
    assert "gehe" not in str(caught.value)


# References


def test_a_reference_names_server_and_model() -> None:
    found = server_address("https://models.example.org:8443/v1/#Qwen/Qwen2.5-7B")
    assert found == ServerAddress("https://models.example.org:8443/v1", "Qwen/Qwen2.5-7B", is_local=False)
    assert found.reference == "https://models.example.org:8443/v1#Qwen/Qwen2.5-7B"
    assert server_address("qwen2.5-coder-0.5b") is None
    assert [
        server_address(f"http://{host}/v1#m").is_local  # type: ignore[union-attr]
        for host in ("localhost", "127.0.0.1:8080", "[::1]:8080", "192.168.0.5")
    ] == [True, True, True, False]


@pytest.mark.parametrize(
    "reference",
    [
        "http://localhost:8080/v1",
        "http://#m",
        "http://h:port/v1#m",
        "http://[::1/v1#m",
        "http://h/v1?a=b#m",
        "http://h/ #m",
    ],
)
def test_a_reference_of_another_form_is_refused_with_the_right_one(reference: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        load_generator_lazily(reference)
    assert "http://localhost:11434/v1#" in caught.value.hint


def test_a_password_in_a_reference_is_refused_and_not_repeated() -> None:
    with pytest.raises(ModelNotFound, match="password") as caught:
        server_address("https://me:hunter2@example.org/v1#m")
    assert "hunter2" not in str(caught.value)


def test_a_bot_can_name_a_server_in_its_configuration(tmp_path: Path) -> None:
    with ModelServer(says("Hello")) as server:
        (tmp_path / "agent.yaml").write_text(f"name: Shop\ngenerator: {server.address}#tiny\n")
        generator = load_generator_lazily(load_config(tmp_path).generator)
        assert isinstance(generator, Generator)
        assert (generator.name, generator.context_length) == (f"{server.address}#tiny", 4096)
        generator.close()


# What is known of the model


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([{"id": "other", "max_model_len": 1}, {"id": "tiny", "max_model_len": 2048}], 2048),
        ([{"id": "tiny:latest", "meta": {"n_ctx_train": 32768}}], 32768),
        ([{"id": "/models/x.gguf", "meta": {"n_ctx": 512, "n_ctx_train": 32768}}], 512),
        ([{"id": "tiny"}], 8192),
        ([{"id": "other", "max_model_len": 1}, {"id": "another", "max_model_len": 1}], 8192),
        ("nonsense", 8192),
    ],
)
def test_the_context_window_is_what_the_server_tells(models: Sequence[object], expected: int) -> None:
    with ModelServer(says("x"), models=fails(200, {"data": models})) as server:
        generator = server.generator()
        assert generator.context_length == expected
        generator.close()


def test_a_server_that_does_not_list_its_models_has_a_usual_window() -> None:
    with ModelServer(says("x"), models=fails(404, {})) as server:
        generator = load_generator(f"{server.address}#tiny")
        assert generator.context_length == 8192
        generator.close()


def test_tokens_are_estimated_from_above() -> None:
    generator = ServerGenerator(ServerAddress("http://localhost/v1", "tiny", is_local=True), key="")
    words = "The parcel arrives on Friday. " * 100
    assert generator.count_tokens([user(words)]) > len(words) / 3
    assert generator.count_tokens([user("hi")], [WEATHER]) > generator.count_tokens([user("hi")]) + 20
    assert generator.count_tokens([user("漢" * 99)]) > 99


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
