"""What is static in a prompt is computed once for all processes, and never trusted unseen."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from agentkit.messages import Message, system, user
from agentkit.models.engine.prefix_files import PrefixFiles
from agentkit.models.local_generator import LocalGenerator
from agentkit.models.protocols import ChoiceRequest, Finished, GenerationRequest
from tests.models.tiny_model import tiny_generator

INSTRUCTIONS = "You are a shop. Answer from the facts only. " * 6


def request(text: str, *, static: int = 1) -> GenerationRequest:
    return GenerationRequest(messages=[system(INSTRUCTIONS), user(text)], max_tokens=12, static=static)


def finished(generator: LocalGenerator, asked: GenerationRequest) -> Finished:
    (last,) = (delta for delta in generator.generate(asked) if isinstance(delta, Finished))
    return last


def fresh(folder: Path, network: str = "tiny float32") -> LocalGenerator:
    """What a new process has: nothing but the files."""
    return tiny_generator(files=PrefixFiles(folder, network))


def test_a_fresh_process_takes_the_static_beginning_from_the_disk(tmp_path: Path) -> None:
    first = finished(fresh(tmp_path), request("where is it?"))
    assert first.usage.cached_tokens == 0
    again = finished(fresh(tmp_path), request("another question"))
    assert again.usage.cached_tokens >= tiny_generator().count_tokens([system(INSTRUCTIONS)]) / 2
    assert finished(tiny_generator(), request("another question")).text == again.text


def test_a_choice_uses_the_same_files(tmp_path: Path) -> None:
    messages: list[Message] = [system(INSTRUCTIONS), user("Is it there?")]
    asked = ChoiceRequest(messages, ("Yes", "No"), static=1)
    plain = tiny_generator().choose(asked)
    assert fresh(tmp_path).choose(asked) == pytest.approx(plain, abs=1e-4)
    assert len(list(tmp_path.iterdir())) == 1
    assert fresh(tmp_path).choose(asked) == pytest.approx(plain, abs=1e-4)


def test_nothing_that_a_user_said_is_written(tmp_path: Path) -> None:
    generator = fresh(tmp_path)
    finished(generator, request("my name is Rosalind Quillfeather", static=0))
    assert not list(tmp_path.iterdir())
    finished(generator, request("my name is Rosalind Quillfeather"))
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    finished(generator, request("my name is another one"))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


@pytest.mark.parametrize("harm", ["truncated", "changed", "empty", "no safetensors"])
def test_a_damaged_file_is_made_again_with_one_line_in_the_log(
    harm: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = finished(fresh(tmp_path), request("where is it?")).text
    (file,) = tmp_path.iterdir()
    sound = file.read_bytes()
    damaged = {
        "truncated": sound[:-9],
        "changed": sound[:-9] + bytes([sound[-9] ^ 64]) + sound[-8:],
        "empty": b"",
        "no safetensors": b"%PDF-1.7",
    }
    file.write_bytes(damaged[harm])
    with caplog.at_level(logging.WARNING):
        assert finished(fresh(tmp_path), request("where is it?")).text == text
    assert [record.getMessage() for record in caplog.records] == [
        f"{file} is damaged or of another version; it is made again."
    ]
    assert len(file.read_bytes()) == len(sound)
    assert finished(fresh(tmp_path), request("and now?")).usage.cached_tokens > 0


def test_files_of_another_model_or_number_format_are_not_used(tmp_path: Path) -> None:
    finished(fresh(tmp_path), request("where is it?"))
    other = finished(fresh(tmp_path, "tiny int8"), request("where is it?"))
    assert other.usage.cached_tokens == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_a_disk_that_takes_nothing_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    generator = fresh(blocked)
    assert finished(generator, request("one")).text == finished(tiny_generator(), request("one")).text
    finished(generator, request("two"))
    assert len(caplog.records) == 1


def test_the_least_recently_used_files_make_room_and_a_process_writes_only_so_many(tmp_path: Path) -> None:
    states = torch.zeros(1, 2, 1, 3, 2)
    for number in range(3):
        files = PrefixFiles(tmp_path, "tiny")
        for each in range(20):
            files.save([number, each], lambda: states)
        assert len(list(tmp_path.iterdir())) == 12
    assert PrefixFiles(tmp_path, "tiny").load([2, 0]) is not None
    assert PrefixFiles(tmp_path, "tiny").load([0, 0]) is None
