"""A virtual environment as a plugin author has it: agentkit installed from its wheel, and nothing of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.architecture.source_tree import ROOT, files

# The pip of the tests, working on the new environment: making one of its own takes ten times as long.
_PIP = """#!/bin/sh
exec '{python}' -m pip --python '{environment}' "$@"
"""


class CleanEnvironment:
    """A virtual environment in an empty folder; what agentkit depends on is that of the tests.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        programs = folder / "environment" / "bin"
        venv.create(folder / "environment", symlinks=True)
        (site,) = (folder / "environment").glob("lib/*/site-packages")
        # Links and no .pth file: the editable install of the checkout lies in that folder, too.
        for package in Path(sysconfig.get_path("purelib")).iterdir():
            if "agentkit" not in package.name:
                (site / package.name).symlink_to(package)
        pip = programs / "pip"
        pip.write_text(_PIP.format(python=sys.executable, environment=programs / "python"), encoding="utf-8")
        pip.chmod(0o755)
        tests = programs / "pytest"
        tests.write_text(
            f"#!{programs / 'python'}\nimport pytest\nraise SystemExit(pytest.console_main())\n", "utf-8"
        )
        tests.chmod(0o755)
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "VIRTUAL_ENV", "AGENTKIT_DATA", "AGENTKIT_CACHE")
        } | {
            "PATH": os.pathsep.join((str(programs), os.environ["PATH"])),
            "HOME": str(folder),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        self.run(f"pip install --quiet --no-deps '{_wheel(folder)}'")

    def run(self, command: str, *, status: int = 0) -> str:
        """What a shell command prints; it must end with this status."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        assert done.returncode == status, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout


def _wheel(folder: Path) -> Path:
    source = folder / "source"
    for name in files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "built")]
    subprocess.run(build, cwd=source, check=True, capture_output=True, timeout=240)
    (built,) = (folder / "built").glob("*.whl")
    return built
