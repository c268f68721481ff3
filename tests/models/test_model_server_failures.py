"""Model servers that answer badly, late or not at all."""

from __future__ import annotations

import threading
import time

import pytest

from agentkit.errors import (
    AgentKitError,
    ContextOverflow,
    ModelNotFound,
    ModelServerError,
)
from agentkit.models import Generator, load_generator
from agentkit.models.openai_compatible import Patience, ServerAddress, ServerGenerator
from agentkit.models.protocols import (
    CallTools,
    Finished,
    TextChunk,
)
from tests.models.model_server import (
    DONE,
    QUICK,
    SILENCE,
    Answer,
    ModelServer,
    asks,
    delta,
    event,
    fails,
    run,
    says,
)


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
        assert f"requests to {server.address}" not in [thread.name for thread in threading.enumerate()]
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
