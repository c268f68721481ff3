"""Every prompt is rendered with every sample and compared with a file that a reviewer reads in the diff."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from agentkit.prompts import PromptLibrary

FOLDER: Final = Path(__file__).parent
GOLDEN: Final = FOLDER / "golden"
HINT: Final = "add it to tests/prompts/samples.yaml, then: UPDATE_GOLDEN=1 pytest tests/prompts"
SAMPLES: Final[dict[str, dict[str, dict[str, Any]]]] = yaml.safe_load(
    (FOLDER / "samples.yaml").read_text(encoding="utf-8")
)
CASES: Final = [(name, sample) for name, samples in SAMPLES.items() for sample in samples]


@pytest.mark.parametrize(("name", "sample"), CASES, ids=[f"{name}.{sample}" for name, sample in CASES])
def test_a_prompt_reads_as_agreed(name: str, sample: str) -> None:
    rendered = PromptLibrary().render(name, **SAMPLES[name][sample])
    file = GOLDEN / f"{name}.{sample}.txt"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(rendered, encoding="utf-8", newline="\n")
    assert file.is_file(), f"{file.name} is missing: run UPDATE_GOLDEN=1 pytest tests/prompts and read it"
    assert rendered == file.read_text(encoding="utf-8")


def test_every_prompt_has_a_sample() -> None:
    without = set(PromptLibrary().names()) - set(SAMPLES)
    assert not without, f"no sample for {', '.join(sorted(without))}: {HINT}"


def test_every_sample_has_a_prompt() -> None:
    left_over = set(SAMPLES) - set(PromptLibrary().names())
    assert not left_over, f"samples for prompts that do not exist: {', '.join(sorted(left_over))}"


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{name}.{sample}.txt" for name, sample in CASES}
    left_over = {file.name for file in GOLDEN.iterdir()} - expected
    assert not left_over, f"delete {', '.join(sorted(left_over))}"
