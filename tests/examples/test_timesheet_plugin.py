"""The example plugin: installed from its folder into a clean virtual environment, called, and its own tests run."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.architecture.source_tree import ROOT
from tests.plugins.clean_environment import CleanEnvironment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    """A clean environment with the plugin."""
    made = CleanEnvironment(tmp_path_factory.mktemp("timesheet"))
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", ".pytest_cache")
    shutil.copytree(ROOT / "examples" / "timesheet", made.folder / "timesheet", ignore=ignore)
    made.run("pip install --quiet ./timesheet")
    return made


def test_its_tools_are_found(environment: CleanEnvironment) -> None:
    plugins = json.loads(environment.run("agentkit plugins list --json"))
    assert {"name": "timesheet", "package": "agentkit-timesheet 0.1.0", "error": None} | {
        "tools": ["log_hours", "list_hours", "remove_hours"]
    } in plugins


def test_its_tools_are_called_by_hand(environment: CleanEnvironment) -> None:
    logged = json.loads(environment.run("agentkit tools call log_hours project=garden hours=1.5"))
    assert (logged["project"], logged["hours"]) == ("garden", 1.5)
    assert json.loads(environment.run("agentkit tools call list_hours"))["sum"] == 1.5
    environment.run(f"agentkit tools call remove_hours entry={logged['entry']}")
    assert json.loads(environment.run("agentkit tools call list_hours"))["sum"] == 0


def test_its_own_tests_pass(environment: CleanEnvironment) -> None:
    assert " passed" in environment.run("pytest -q timesheet")
