"""`import agentkit` is quick and loads nothing heavy: models, databases and terminals come with their use."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

HEAVY: Final = ("torch", "transformers", "numpy", "sqlite3", "pysqlite3", "sqlite_utils", "rich", "typer")
MODELS: Final = ("torch", "transformers")


def loaded(code: str, names: tuple[str, ...]) -> str:
    """Which of `names` a fresh Python has loaded after `code`."""
    command = f"{code}\nimport sys; print([name for name in {names!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    return found.stdout.strip() or found.stderr


def test_importing_agentkit_loads_nothing_heavy() -> None:
    assert loaded("import agentkit", HEAVY) == "[]"


@pytest.mark.parametrize("name", ["errors", "messages", "events"])
def test_the_ground_floor_needs_only_pydantic(name: str) -> None:
    assert loaded(f"import agentkit.{name}", (*HEAVY, "jinja2", "yaml")) == "[]"


def test_the_public_names_load_no_model_library() -> None:
    assert loaded("from agentkit import *", MODELS) == "[]"


def test_the_plugin_of_pytest_loads_nothing_heavy_for_people_who_test_something_else() -> None:
    assert loaded("import agentkit.pytest_plugin", HEAVY[:6]) == "[]"


def test_the_command_line_loads_no_model_library() -> None:
    assert loaded("import agentkit.cli.main", MODELS) == "[]"


def test_importing_agentkit_takes_less_than_two_fifths_of_a_second() -> None:
    code = "import time; start = time.perf_counter(); import agentkit; print(time.perf_counter() - start)"
    command = [sys.executable, "-c", code]
    # The quickest of several tries: the others say how busy the machine was.
    seconds = min(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(5)
    )
    assert seconds < 0.4
