"""Imports only point down, and a new module must be given a layer: import-linter, tried on broken copies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, SHIPPED, TEMPLATES, files, modules


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(folder / shipped) for shipped in (".", "tools", "prompts"))
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what ships, to break."""
    for name in files():
        if name == "pyproject.toml" or (name.endswith(".py") and name.startswith(SHIPPED)):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def test_imports_only_point_down() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("agentkit/helpers.py", "", "agentkit.helpers"),
        (
            "agentkit/errors.py",
            "import agentkit.messages",
            "agentkit.errors is not allowed to import agentkit.mess",
        ),
        (
            "agentkit/store/x.py",
            "import agentkit.models",
            "agentkit.store is not allowed to import agentkit.models",
        ),
        ("agentkit/models/x.py", "from agentkit import testing", "agentkit.models.x -> agentkit.testing"),
        ("agentkit/tools/x.py", "import agentkit_tools", "agentkit is not allowed to import agentkit_tools"),
    ],
    ids=["no layer", "upwards", "sideways", "test doubles", "past the plugin door"],
)
def test_an_import_against_the_layers_is_found(copy: Path, name: str, text: str, said: str) -> None:
    (copy / name).write_text(text)
    result = lint(copy)
    assert result.returncode != 0
    assert said in result.stdout


def test_every_folder_of_the_packages_is_a_package() -> None:
    # import-linter does not see the modules of a folder without an __init__.py.
    folders = {Path(module.path).parent for module in modules(*SHIPPED)}
    bare = {str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()}
    assert {folder for folder in bare if not folder.startswith(TEMPLATES)} == set()
