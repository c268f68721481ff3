"""What the README says about plugins, done by hand in a clean virtual environment, and timed."""

from __future__ import annotations

import os
import re
from typing import Final

import pytest

from tests.architecture.source_tree import ROOT
from tests.docs.blocks import console_commands, read_blocks, same_output
from tests.plugins.clean_environment import CleanEnvironment

MOST_SECONDS: Final = 60

pytestmark = pytest.mark.slow


def machine_seconds() -> float:
    """Processor time of all child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    return CleanEnvironment(tmp_path_factory.mktemp("clean"))


def test_the_tutorial_works_in_a_clean_environment_within_a_minute(environment: CleanEnvironment) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (tutorial,) = re.findall(r"^## Make a plugin\n.*?(?=^## )", readme, flags=re.DOTALL | re.MULTILINE)
    commands = [
        command for block in read_blocks("README.md", tutorial) for command in console_commands(block.text)
    ]
    assert len(commands) >= 5
    before = machine_seconds()
    for command in commands:
        printed = environment.run(command.text)
        if command.output is not None:
            assert same_output(command.output, printed), f"{command.text} prints\n{printed}"
    used = machine_seconds() - before
    assert used < MOST_SECONDS, f"the tutorial takes {used:.0f} s of machine time"


@pytest.mark.parametrize("name", ["9lives", "class", "json", "Größe"])
def test_a_name_that_no_package_can_have_is_refused(environment: CleanEnvironment, name: str) -> None:
    assert "can be no name of a plugin" in environment.run(f"agentkit new plugin '{name}'", status=2)
    assert not (environment.folder / name).exists()


def test_a_folder_with_files_is_left_alone(environment: CleanEnvironment) -> None:
    (environment.folder / "mine").mkdir()
    (environment.folder / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    assert "exists and is not empty" in environment.run("agentkit new plugin mine", status=2)
    assert [path.name for path in (environment.folder / "mine").iterdir()] == ["notes.txt"]


def test_a_hyphen_in_the_folder_is_no_hindrance(environment: CleanEnvironment) -> None:
    environment.run("agentkit new plugin parcel-tools")
    assert (environment.folder / "parcel-tools" / "src" / "parcel_tools" / "tools.py").is_file()
