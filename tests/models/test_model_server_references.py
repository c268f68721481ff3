"""How a model on a server is named, what is known of it, and that its key stays secret."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentkit.bot.config import load_config
from agentkit.errors import (
    ConfigurationError,
    ModelNotFound,
    ModelServerError,
)
from agentkit.messages import user
from agentkit.models import Generator, load_generator, load_generator_lazily
from agentkit.models.openai_compatible import ServerAddress, ServerGenerator, server_address
from tests.models.model_server import (
    WEATHER,
    Answer,
    ModelServer,
    asks,
    fails,
    says,
)

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


@pytest.mark.parametrize("status", [404, 500])
def test_a_server_that_does_not_list_its_models_has_a_usual_window(status: int) -> None:
    with ModelServer(says("x"), models=fails(status, {})) as server:
        generator = load_generator(f"{server.address}#tiny")
        assert generator.context_length == 8192
        generator.close()


def test_tokens_are_estimated_from_above() -> None:
    generator = ServerGenerator(ServerAddress("http://localhost/v1", "tiny", is_local=True), key="")
    words = "The parcel arrives on Friday. " * 100
    assert generator.count_tokens([user(words)]) > len(words) / 3
    assert generator.count_tokens([user("hi")], [WEATHER]) > generator.count_tokens([user("hi")]) + 20
    assert generator.count_tokens([user("漢" * 99)]) > 99
    # Counted by `transformers serve` with Qwen2.5-Coder-0.5B, whose template adds a system message.
    assert generator.count_tokens([user("Say hello in one short sentence.")]) >= 36
    assert generator.count_tokens([user("What is the weather in Porto?")], [WEATHER]) >= 169
