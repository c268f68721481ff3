"""Every test runs apart from the user's files and prints the same on every machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before any test imports a library that reads them; child processes inherit them.
os.environ.update(
    NO_COLOR="1",
    HF_HUB_OFFLINE="1",  # nothing may come from a hub: weights come from the package index or the cache
    TOKENIZERS_PARALLELISM="false",  # tokenizers warn when a process forks after using threads
    _TYPER_FORCE_DISABLE_TERMINAL="1",  # CI services make typer print escape codes into pipes
)
for variable in ("FORCE_COLOR", "PY_COLORS", "CLICOLOR_FORCE", "COLUMNS", "LINES"):
    os.environ.pop(variable, None)
# In a container torch would count the cores of the host and start too many threads.
os.environ.setdefault(
    "OMP_NUM_THREADS", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
)

# Timings are never tests: a busy machine must not fail a property.
settings.register_profile("agentkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("agentkit")


@pytest.fixture(autouse=True)
def _own_folders(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep a test from the user's databases and settings, and from the weights unless marked for them."""
    home = tmp_path_factory.mktemp("home")
    for variable, folder in (
        ("AGENTKIT_DATA", "agentkit-data"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_STATE_HOME", "state"),
    ):
        monkeypatch.setenv(variable, str(home / folder))
    if request.node.get_closest_marker("weights") is None:
        monkeypatch.setenv("AGENTKIT_CACHE", str(home / "agentkit-cache"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent
