"""`agentkit new plugin`: a package with one tool, its tests and a bot that shows it."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from agentkit.errors import ConfigurationError

_PLACEHOLDER: Final = "my_tool"  # the name in the template, which is a working plugin itself
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,49}")
_LEFT_OUT: Final = ("__pycache__", ".pyc")


def new_plugin(folder: Path) -> list[Path]:
    """Write the package of a new plugin and return its files, relative to `folder`.

    Args:
        folder: What to create; its last part is the name of the package, of its module and of its tool.

    Raises:
        ConfigurationError: The name cannot be one, the folder exists and is not empty, or cannot be written.
    """
    name = folder.resolve().name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise ConfigurationError(
            f"{name!r} can be no name of a plugin; nothing was written.",
            hint="Use small letters, digits and _, beginning with a letter, and no name of Python's own modules.",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(
            f"{folder} exists and is not empty; nothing was written.",
            hint="Choose another name, or empty it.",
        )
    written: list[Path] = []
    try:
        with as_file(files("agentkit.plugins") / "template") as template:
            for source in sorted(path for path in template.rglob("*") if path.is_file()):
                relative = str(source.relative_to(template))
                if any(part in relative for part in _LEFT_OUT):
                    continue
                target = Path(relative.replace(_PLACEHOLDER, name))
                (folder / target).parent.mkdir(parents=True, exist_ok=True)
                text = source.read_text(encoding="utf-8").replace(_PLACEHOLDER, name)
                (folder / target).write_text(text, encoding="utf-8")
                written.append(target)
    except OSError as problem:
        raise ConfigurationError(
            f"{folder} could not be written: {problem.strerror or problem}.",
            hint="Choose a folder you may write to.",
        ) from problem
    return written
