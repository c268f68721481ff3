"""`agentkit new bot`: a small complete bot to start from."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from agentkit.errors import ConfigurationError


def new_bot(folder: Path) -> list[Path]:
    """Copy the starter bot into a new folder and return its files, relative to it.

    Raises:
        ConfigurationError: The folder exists and is not empty, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(
            f"{folder} exists and is not empty; nothing was written.",
            hint="Choose another name, or empty it.",
        )
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    try:
        with as_file(files("agentkit.bot") / "template") as template:
            shutil.copytree(template, folder, dirs_exist_ok=True, ignore=ignore)
    except OSError as problem:
        raise ConfigurationError(
            f"{folder} could not be written: {problem.strerror or problem}.",
            hint="Choose a folder you may write to.",
        ) from problem
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
