"""Many requests at once get what each would get alone, and nobody is left waiting or behind."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from agentkit.errors import ConstraintError, ModelError
from agentkit.messages import ToolSpec, system, user
from agentkit.models.engine.network import DecoderNetwork, Feed
from agentkit.models.local_generator import LocalGenerator
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Finished,
    GenerationRequest,
    Regex,
    Sampling,
    TextChunk,
)
from tests.models.tiny_model import tiny_generator, tiny_model, tiny_network

FIND = ToolSpec(
    name="find_order",
    description="Find an order.",
    parameters={
        "type": "object",
        "properties": {"order_id": {"type": "string", "pattern": "^[0-9]{4}$"}, "note": {"type": "string"}},
        "required": ["order_id", "note"],
    },
)


def written(generator: LocalGenerator, request: GenerationRequest) -> Finished:
    *_, last = generator.generate(request)
    assert isinstance(last, Finished)
    return last


def requests(seed: int, count: int) -> list[GenerationRequest]:
    """Conversations of all kinds: free, constrained, sampled; some share how they begin."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        beginning = chance.choice(["You are a shop. " * 5, "Judge it. " * 8, f"Number {number}. "])
        constraint: Any = chance.choice([None, Regex("(ab|cd|e)*x"), CallTools(allow_text=False)])
        options = {} if constraint is None else {"constraint": constraint}
        temperature = chance.choice([0.0, 0.8])
        made.append(
            GenerationRequest(
                messages=[system(beginning), user("a b c " * chance.randrange(1, 60) + str(number % 3))],
                tools=[FIND],
                sampling=Sampling(temperature=temperature, top_p=0.9, seed=number),
                max_tokens=160 if isinstance(constraint, CallTools) else 25,
                **options,
            )
        )
    return made


def outcome(generator: LocalGenerator, request: GenerationRequest) -> str:
    """The text, or why there is none."""
    try:
        return written(generator, request).text
    except ConstraintError as error:  # a tiny random model rarely ends what it must end: an outcome too
        return type(error).__name__


def test_the_network_computes_what_transformers_computes() -> None:
    tokens = [[n * 7 % 256 for n in range(50)], [n * 5 % 256 for n in range(33)]]
    network = tiny_network()
    assert isinstance(network, DecoderNetwork)
    states = [network.new_states(), network.new_states()]
    network.forward([Feed(tokens[0][:20], states[0], 0), Feed(tokens[1][:1], states[1], 1)])
    both = network.forward([Feed(tokens[0][20:], states[0], 30), Feed(tokens[1][1:], states[1], 32)])
    with torch.no_grad():
        plain = [tiny_model()(input_ids=torch.tensor([each])).logits[0] for each in tokens]
    assert torch.allclose(both[:30], plain[0][20:], atol=1e-3)
    assert torch.allclose(both[30:], plain[1][1:], atol=1e-3)


def test_replies_do_not_depend_on_what_was_kept_or_who_else_was_writing() -> None:
    asked = requests(seed=5, count=40)
    alone = [outcome(tiny_generator(), request) for request in asked]
    shared = tiny_generator()
    assert [outcome(shared, request) for request in asked] == alone
    together: list[str] = [""] * len(asked)

    def work(numbers: Sequence[int]) -> None:
        for number in numbers:
            together[number] = outcome(shared, asked[number])

    threads = [threading.Thread(target=work, args=(range(start, len(asked), 10),)) for start in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
    assert len(set(alone)) > 10


def test_guesses_save_passes_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    request = GenerationRequest(messages=[user("abcabcabcabc " * 10)], max_tokens=60)
    guessed = written(tiny_generator(), request)
    monkeypatch.setattr("agentkit.models.engine.engine._ROWS", 1)
    plain = written(tiny_generator(), request)
    assert guessed.text == plain.text
    assert guessed.usage.forward_passes < plain.usage.forward_passes


def test_sampling_with_guesses_keeps_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    def counts() -> dict[str, int]:
        generator, found = tiny_generator(), dict[str, int]()
        for seed in range(400):
            sampling = Sampling(temperature=1.0, seed=seed)
            request = GenerationRequest(
                [user("ababab")], constraint=Regex("[ab]{3}"), sampling=sampling, max_tokens=4
            )
            text = written(generator, request).text
            found[text] = found.get(text, 0) + 1
        return found

    with_guesses = counts()
    monkeypatch.setattr("agentkit.models.engine.engine._ROWS", 1)
    assert counts() == with_guesses  # the same seed gives the same text, so the distribution is the same
    assert len(with_guesses) >= 4


def test_requests_join_while_others_write_and_share_passes() -> None:
    generator = tiny_generator()
    request = GenerationRequest(messages=[user("tell me")], max_tokens=40)
    alone = written(tiny_generator(), request).usage.forward_passes
    passes = 0
    network = generator._engine._network  # type: ignore[union-attr]
    plain = network.forward

    def counted(feeds: Sequence[Feed]) -> torch.Tensor:
        nonlocal passes
        passes += 1
        return plain(feeds)

    network.forward = counted  # type: ignore[method-assign]
    streams = [
        generator.generate(GenerationRequest(messages=[user(f"{n} tell me")], max_tokens=40))
        for n in range(4)
    ]
    for stream in streams:
        next(stream)
    for stream in streams:
        list(stream)
    assert passes < 3 * alone


def test_a_long_prompt_does_not_stop_those_who_write() -> None:
    generator = tiny_generator()
    writer = generator.generate(GenerationRequest(messages=[user("x")], max_tokens=60))
    next(writer)
    done = threading.Event()

    def read() -> None:
        written(generator, GenerationRequest(messages=[user("long " * 500)], max_tokens=1))
        done.set()

    thread = threading.Thread(target=read)
    thread.start()
    pieces = 0
    for delta in writer:
        pieces += isinstance(delta, TextChunk) and not done.is_set()
    thread.join()
    assert pieces > 5


def test_cancelling_and_deadlines_take_effect_within_a_step_and_leave_the_others_alone() -> None:
    generator = tiny_generator()
    cancel = threading.Event()
    expected = written(tiny_generator(), GenerationRequest(messages=[user("other")], max_tokens=30)).text
    one = generator.generate(GenerationRequest(messages=[user("one")], max_tokens=4000, cancel=cancel))
    other = generator.generate(GenerationRequest(messages=[user("other")], max_tokens=30))
    late = generator.generate(
        GenerationRequest(messages=[user("late")], max_tokens=4000, deadline=time.monotonic() - 1)
    )
    next(one)
    next(other)
    cancel.set()
    *_, ended = one
    *_, finished = other
    *_, missed = late
    assert isinstance(ended, Finished)
    assert isinstance(finished, Finished)
    assert isinstance(missed, Finished)
    assert (ended.finish, missed.finish, finished.text) == ("cancelled", "deadline", expected)


def test_a_thousand_cancelled_requests_leave_nothing_behind() -> None:
    generator = tiny_generator()
    engine = generator._engine
    assert engine is not None

    def cancelled(count: int) -> None:
        for number in range(count):
            stream = generator.generate(GenerationRequest(messages=[user(f"{number} go")], max_tokens=50))
            next(stream)
            stream.close()  # type: ignore[attr-defined]

    cancelled(100)
    gc.collect()
    objects, kept = len(gc.get_objects()), engine.tree.bytes
    cancelled(1000)
    gc.collect()
    assert engine._running == []
    assert not engine._waiting
    # Kept prefixes are meant to stay; beyond them nothing grows with the number of requests.
    assert engine.tree.bytes - kept < 1000 * 50 * 2048
    nodes = sum(1 for _ in engine.tree.leaves())
    assert len(gc.get_objects()) - objects < 60 * nodes
    before = {thread.name for thread in threading.enumerate()}
    generator.close()
    assert {thread.name for thread in threading.enumerate()} == before


def test_a_pass_that_fails_fails_its_requests_and_the_engine_lives() -> None:
    generator = tiny_generator()
    network = generator._engine._network  # type: ignore[union-attr]
    plain = network.forward

    def fails(feeds: Sequence[Feed]) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    request = GenerationRequest(messages=[user("Hello")], max_tokens=10)
    expected = written(tiny_generator(), request).text
    network.forward = fails  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="can't allocate memory") as caught:
        written(generator, request)
    assert caught.value.hint
    with pytest.raises(ModelError):
        generator.choose(ChoiceRequest(messages=[user("Hello")], options=("a", "b")))
    network.forward = plain  # type: ignore[method-assign]
    assert written(generator, request).text == expected


def test_a_model_of_another_family_goes_through_transformers_and_says_the_same_each_time() -> None:
    generator = tiny_generator(sliding_window=16)
    texts = [written(generator, r).text for r in [GenerationRequest([user("abc " * 30)], max_tokens=12)] * 2]
    fresh = written(tiny_generator(sliding_window=16), GenerationRequest([user("abc " * 30)], max_tokens=12))
    assert texts == [fresh.text, fresh.text]
