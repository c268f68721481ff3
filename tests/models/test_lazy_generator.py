from __future__ import annotations

import threading

import pytest

from agentkit.errors import ModelRefused
from agentkit.messages import user
from agentkit.models.lazy_generator import LazyGenerator
from agentkit.models.protocols import Finished, GenerationRequest, Generator
from agentkit.testing import Says, ScriptedGenerator


def test_its_name_is_known_before_the_weights_are_there_and_a_reply_waits_for_them() -> None:
    permission = threading.Event()

    def load() -> Generator:
        permission.wait()
        return ScriptedGenerator([Says("hello")])

    generator = LazyGenerator("slow", load)
    assert generator.name == "slow"
    threading.Timer(0.05, permission.set).start()
    *_, last = generator.generate(GenerationRequest([user("hi")]))
    assert isinstance(last, Finished)
    assert last.text == "hello"
    assert isinstance(generator, Generator)
    generator.close()


def test_an_error_of_loading_reaches_everybody_who_needs_the_generator() -> None:
    def load() -> Generator:
        raise ModelRefused("damaged")

    generator = LazyGenerator("damaged", load)
    for _ in range(2):
        with pytest.raises(ModelRefused, match="damaged"):
            generator.count_tokens([user("hi")])
    generator.close()


def test_nothing_is_loaded_before_it_is_needed_or_asked_for() -> None:
    loaded: list[bool] = []

    def load() -> Generator:
        loaded.append(True)
        return ScriptedGenerator([])

    LazyGenerator("unused", load).close()
    assert loaded == []
    generator = LazyGenerator("asked for", load)
    generator.start_loading()
    generator.start_loading()
    assert generator.count_tokens([user("hi")]) > 0
    assert loaded == [True]


def test_closing_leaves_no_thread_behind_and_closes_what_was_loaded() -> None:
    closed: list[bool] = []

    class Closes(ScriptedGenerator):
        def close(self) -> None:
            closed.append(True)

    generator = LazyGenerator("quick", lambda: Closes([]))
    generator.start_loading()
    generator.close()
    assert closed == [True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load quick")]
