"""Prompts of several kinds in turn: none pushes the static beginning of another out."""

from __future__ import annotations

from agentkit.messages import system, user
from agentkit.models.local_generator import LocalGenerator
from agentkit.models.protocols import Finished, GenerationRequest, Usage
from tests.models.tiny_model import tiny_generator

KINDS = ["You are a shop. " * 6, "Judge whether it is answered. " * 4, "Translate what is said. " * 5]


def write(generator: LocalGenerator, kind: str, text: str) -> tuple[str, Usage]:
    request = GenerationRequest(messages=[system(kind), user(text)], max_tokens=8)
    (finished,) = (delta for delta in generator.generate(request) if isinstance(delta, Finished))
    return finished.text, finished.usage


def test_each_kind_of_prompt_keeps_its_beginning() -> None:
    generator = tiny_generator()
    for kind in KINDS:
        write(generator, kind, "one")
    for kind in KINDS:
        _, usage = write(generator, kind, "two")
        assert usage.cached_tokens > generator.count_tokens([system(kind)]) / 2


def test_what_is_written_does_not_depend_on_what_was_kept() -> None:
    generator = tiny_generator()
    warm = [write(generator, kind, text)[0] for text in ("one", "two", "one") for kind in KINDS]
    fresh = [write(tiny_generator(), kind, text)[0] for text in ("one", "two", "one") for kind in KINDS]
    assert warm == fresh
