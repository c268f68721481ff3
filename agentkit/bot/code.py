"""The Python files of a bot folder: its tools and its setup. They are the author's code and run as such."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from agentkit.bot.config import BotConfig, config_error
from agentkit.errors import AgentKitError, BotFileError
from agentkit.plugins import load_plugins, naming_failures
from agentkit.tools import Tool
from agentkit.yaml_files import Location


def tools_of(folder: Path, config: BotConfig) -> list[Tool]:
    """All tools that `agent.yaml` names, in its order.

    Raises:
        BotFileError: A file that is missing or fails, a name that no plugin adds, or two tools of one name.
    """
    found: dict[str, tuple[Tool, str]] = {}
    for entry in config.tools:
        for tool in _tools_of_entry(folder, entry, config.tools.index(entry)):
            if tool.name in found:
                raise config_error(
                    folder,
                    f"the tool {tool.name!r} comes from both {found[tool.name][1]!r} and {entry!r}",
                    at=("tools", config.tools.index(entry)),
                    hint="Rename one of them with @tool(name=…) or drop one entry.",
                )
            found[tool.name] = (tool, entry)
    return [tool for tool, _ in found.values()]


def _tools_of_entry(folder: Path, entry: str, position: int) -> Sequence[Tool]:
    if entry.endswith(".py"):
        module = load_python(folder, entry, at=("tools", position))
        tools = [value for value in vars(module).values() if isinstance(value, Tool)]
        if not tools:
            raise BotFileError(
                "the file defines no tool", path=folder / entry, hint="Decorate a function with @tool."
            )
        return tools
    report = load_plugins()
    if entry not in report.tools:
        known = ", ".join(sorted(report.tools)) or "none"
        broken = "".join(f" The plugin {b.name} is switched off: {b.error.message}." for b in report.broken)
        raise config_error(
            folder,
            f"no plugin adds a tool called {entry!r}; the tools are: {known}.{broken}",
            at=("tools", position),
            hint="Correct the name, install the plugin, or name a Python file of the bot folder (tools.py).",
        )
    return [report.tools[entry]]


def run_setup(folder: Path, config: BotConfig) -> None:
    """Call `reset()` of the setup file, if the bot has one, so that a scenario starts from known data."""
    if config.setup is None:
        return
    module = load_python(folder, config.setup, at=("setup",))
    reset = getattr(module, "reset", None)
    if not callable(reset):
        raise BotFileError(
            "the setup file has no function `reset()`",
            path=folder / config.setup,
            hint="Define `def reset() -> None` that makes the data anew.",
        )
    reset()


def load_python(folder: Path, name: str, *, at: Location) -> ModuleType:
    """Run a Python file of the bot folder once and return its module.

    The folder is on the module search path while it runs, so that the files of a bot can import each other.

    Raises:
        BotFileError: The file is missing, lies outside the folder, or fails when it is run.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise config_error(folder, f"{name!r} lies outside the bot folder", at=at, hint="Move it inside.")
    if not path.is_file():
        raise config_error(
            folder,
            f"there is no file {name!r} in the bot folder",
            at=at,
            hint=f"Create {path.name} or correct the name.",
        )
    module_name = f"agentkit_bot_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    sys.path.insert(0, str(path.parent))
    try:
        with naming_failures(lambda problem: _failure(path, problem)):
            spec.loader.exec_module(module)
    except AgentKitError:
        del sys.modules[module_name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    return module


def _failure(path: Path, problem: Exception | SystemExit) -> BotFileError:
    lines = [
        frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == str(path)
    ]
    return BotFileError(
        f"the file could not be run: {type(problem).__name__}: {problem}",
        path=path,
        line=lines[-1] if lines else None,
        hint="Mend the file; running it with `python` shows the whole traceback.",
    )
