"""The wheel holds everything that runs: tried in an empty directory, away from the checkout."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, SHIPPED, files

pytestmark = pytest.mark.slow


def run(*command: str | Path, folder: Path, typed: str = "") -> str:
    """What a command prints; it must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in files():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / "source" / name)
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "built")
    run(*build, folder=folder / "source")
    (built,) = (folder / "built").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment with the wheel; its dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, folder=folder)
    return folder / "bin"


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {
        name.removeprefix("tools/").removeprefix("prompts/")
        for name in files()
        if name.startswith(tuple(f"{folder}/" for folder in SHIPPED))
    }
    assert packed == wanted


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        ("agentkit/py.typed", 1),
        ("agentkit/models/catalogue.yaml", 1),
        ("agentkit/bot/*/agent.yaml", 1),
        ("agentkit_prompts/*.jinja", 5),
        ("agentkit_tools/*.py", 2),
        ("*.dist-info/licenses/LICENSE", 1),
        ("*.dist-info/entry_points.txt", 1),
    ],
)
def test_the_wheel_holds_what_is_no_python(wheel: Path, pattern: str, least: int) -> None:
    assert len(fnmatch.filter(zipfile.ZipFile(wheel).namelist(), pattern)) >= least


def test_the_installed_package_is_the_one_that_runs(programs: Path, tmp_path: Path) -> None:
    code = (
        "import agentkit, agentkit_prompts, agentkit_tools; print(agentkit.__file__, agentkit_tools.__file__)"
    )
    printed = run(programs / "python", "-c", code, folder=tmp_path)
    assert [Path(path).is_relative_to(programs.parent) for path in printed.split()] == [True, True]


def test_the_commands_work_in_an_empty_directory(programs: Path, tmp_path: Path) -> None:
    import agentkit

    assert agentkit.__version__ in run(programs / "agentkit", "--version", folder=tmp_path)
    assert "calculate" in run(programs / "agentkit", "tools", "list", folder=tmp_path)
    assert "minilm-l6" in run(programs / "agentkit", "models", "list", folder=tmp_path)
    run(programs / "agentkit", "new", "bot", "my_bot", folder=tmp_path)
    assert (tmp_path / "my_bot" / "agent.yaml").is_file()


@pytest.mark.weights
@pytest.mark.timeout(600)
def test_a_new_bot_chats_in_an_empty_directory(programs: Path, tmp_path: Path) -> None:
    run(programs / "agentkit", "new", "bot", "my_bot", folder=tmp_path)
    printed = run(programs / "agentkit", "chat", "my_bot", folder=tmp_path, typed="Hello\n")
    assert "Traceback" not in printed
