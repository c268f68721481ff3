"""Vectors read from the lower layers are those that transformers computes, whoever asked what before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file

from agentkit.errors import ContextOverflow, ModelError
from agentkit.messages import assistant, system, user
from agentkit.models.engine.prefix_files import PrefixFiles
from agentkit.models.lazy_generator import LazyGenerator
from agentkit.models.local_generator import LocalGenerator
from agentkit.models.protocols import StateReader, StateRequest
from tests.models.tiny_model import tiny_generator, tiny_model

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

EXAMPLES = (system("Answer from the facts."), user("Facts: none. Question: why?"), assistant("not stated"))


def asked(question: str, facts: str = "Pickup costs 19 EUR.") -> StateRequest:
    beginning = f"Facts: {facts} Question:"
    return StateRequest((*EXAMPLES, user(f"{beginning} {question}")), layer=1, unread=beginning, static=3)


def by_transformers(generator: LocalGenerator, request: StateRequest, read: int) -> Vectors:
    prompt = generator._prompt(request.messages, (), "")
    with torch.no_grad():
        states = tiny_model()(input_ids=torch.tensor([prompt]), output_hidden_states=True).hidden_states
    hidden = states[request.layer][0]  # [tokens, d]
    expected: Vectors = torch.stack((hidden[-1], hidden[-read:].mean(0))).numpy()
    return expected


def test_the_vectors_are_those_at_the_end_and_the_mean_over_what_is_read() -> None:
    generator = tiny_generator()
    end = len("<|im_end|>\n<|im_start|>assistant\n".replace("<|im_end|>", "E").replace("<|im_start|>", "S"))
    for question in ("How much?", "And to Norway?", "How much?"):
        request = asked(question)
        expected = by_transformers(generator, request, len(f" {question}") + end)
        assert numpy.allclose(generator.state(request), expected, atol=1e-4)


def test_of_a_long_question_the_last_tokens_are_read() -> None:
    generator = tiny_generator()
    request = asked("How much? " * 100)
    assert numpy.allclose(generator.state(request), by_transformers(generator, request, 64), atol=1e-4)


def test_an_empty_question_is_read_at_its_end() -> None:
    generator = tiny_generator()
    request = StateRequest((*EXAMPLES, user("Facts:")), layer=2, unread="Facts:")
    assert numpy.allclose(generator.state(request)[0], generator.state(request)[1])


def test_many_threads_read_the_same_vectors_as_one() -> None:
    requests = [asked(f"What costs {n}?", f"It costs {n % 3} EUR.") for n in range(24)]
    alone = [tiny_generator().state(request) for request in requests]
    generator = tiny_generator()
    together: list[Vectors | None] = [None] * len(requests)

    def work(numbers: range) -> None:
        for number in numbers:
            together[number] = generator.state(requests[number])

    threads = [threading.Thread(target=work, args=(range(start, len(requests), 6),)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert other is not None
        assert numpy.allclose(one, other, atol=1e-4)


def test_replies_and_vectors_keep_their_states_apart() -> None:
    generator = tiny_generator()
    before = generator.state(asked("How much?"))
    generator.state(StateRequest(asked("How much?").messages, layer=2, unread=""))
    assert numpy.allclose(generator.state(asked("How much?")), before, atol=1e-5)


def test_the_static_beginning_is_kept_on_disk_for_the_next_process(tmp_path: Path) -> None:
    first = tiny_generator(files=PrefixFiles(tmp_path, "tiny")).state(asked("How much?"))
    (kept,) = tmp_path.glob("*.safetensors")
    written = kept.stat().st_mtime_ns
    second = tiny_generator(files=PrefixFiles(tmp_path, "tiny")).state(asked("How much?"))
    assert numpy.allclose(first, second, atol=1e-5)
    assert list(tmp_path.glob("*.safetensors")) == [kept]
    assert kept.stat().st_mtime_ns != written


SIZES = {
    "query_key_value": (32, 64),
    "attention_output": (32, 32),
    "gate_and_up": (32, 128),
    "down": (64, 32),
}
MODULES = {
    "query_key_value": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention_output": ("self_attn.o_proj",),
    "gate_and_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """Additions of rank 2 to every product of the first layer, as large as the products."""
    random = torch.Generator().manual_seed(3)
    tensors = {}
    for name, (inputs, outputs) in SIZES.items():
        tensors[f"layers.0.{name}.down"] = torch.randn(2, inputs, generator=random)
        tensors[f"layers.0.{name}.up"] = torch.randn(outputs, 2, generator=random)
    save_file(tensors, tmp_path / "adapter.safetensors")
    return tmp_path / "adapter.safetensors"


@contextmanager
def added_by_transformers(adapter: Path, read: int) -> Iterator[None]:
    """The same additions as hooks on the modules of transformers, for the last tokens."""
    tensors = load_file(adapter)
    layer = tiny_model().model.layers[0]

    def hook(down: torch.Tensor, up: torch.Tensor) -> Any:
        def add(_module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
            added = output.clone()
            added[:, -read:] += inputs[0][:, -read:] @ down.T @ up.T
            return added

        return add

    with ExitStack() as stack:
        for name, paths in MODULES.items():
            modules = [layer.get_submodule(path) for path in paths]
            ups = torch.split(tensors[f"layers.0.{name}.up"], [module.out_features for module in modules])
            for module, up in zip(modules, ups, strict=True):
                handle = module.register_forward_hook(hook(tensors[f"layers.0.{name}.down"], up))
                stack.callback(handle.remove)
        yield


def test_an_adapter_applies_to_what_is_read_and_to_nothing_before_it(adapter: Path) -> None:
    generator = tiny_generator()
    for question in ("How much?", "And to Norway?", "How much?"):
        request = replace(asked(question), adapter=adapter)
        read = len(f" {question}ES assistant") + 1
        with added_by_transformers(adapter, read):
            expected = by_transformers(generator, request, read)
        found = generator.state(request)
        assert numpy.allclose(found, expected, atol=1e-3)
        without = generator.state(asked(question))
        assert numpy.allclose(without, by_transformers(generator, asked(question), read), atol=1e-4)
        assert not numpy.allclose(found, without, atol=0.1)


def test_states_that_an_adapter_made_serve_no_other_passage(adapter: Path) -> None:
    generator = tiny_generator()
    generator.state(replace(asked("How much is it?"), adapter=adapter))
    longer = replace(
        asked("Why?", "Pickup costs 19 EUR. Question: How much is it, or is it?"), adapter=adapter
    )
    assert numpy.allclose(generator.state(longer), tiny_generator().state(longer), atol=1e-4)


def test_what_does_not_fit_the_window_is_refused_before_anything_is_computed() -> None:
    with pytest.raises(ContextOverflow, match="tokens"):
        tiny_generator(context_length=200).state(asked("How much? " * 40))


def test_models_of_other_families_say_that_their_vectors_cannot_be_read() -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        tiny_generator(sliding_window=16).state(asked("How much?"))


def test_a_generator_that_is_loaded_late_reads_too_and_a_closed_one_does_not() -> None:
    generator = tiny_generator()
    lazy = LazyGenerator("tiny", lambda: generator)
    assert isinstance(lazy, StateReader)
    assert lazy.state(asked("How much?")).shape == (2, 32)
    generator.close()
    with pytest.raises(RuntimeError, match="closed"):
        generator.state(asked("How much?"))
