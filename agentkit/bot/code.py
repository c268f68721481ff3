"""The Python files of a bot folder: its tools and its setup. They are the author's code and run as such."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from agentkit.bot.config import BotConfig, config_error
from agentkit.bot.data import database_of
from agentkit.errors import AgentKitError, BotFileError
from agentkit.plugins import load_plugins, naming_failures
from agentkit.remote.mcp import McpToolset, Pins
from agentkit.remote.openapi import ServiceToolset
from agentkit.tools import Merged, StaticToolset, Tool, ToolContext, Toolset
from agentkit.yaml_files import Location


@dataclass(frozen=True)
class BotTools:
    """The tools of a bot.

    Args:
        toolset: All of them.
        own: Those that need no server.
        servers: The MCP servers among them; whoever opens a bot closes them.
    """

    toolset: Toolset
    own: Sequence[Tool]
    servers: tuple[McpToolset, ...]

    def close(self) -> None:
        """Stop the servers."""
        for server in self.servers:
            server.close()


def tools_of(folder: Path, config: BotConfig) -> BotTools:
    """All tools that `agent.yaml` names, in its order, then those of its MCP servers, none of which is started yet.

    Raises:
        BotFileError: A file that is missing or fails, a name that no plugin adds, or two tools of one name.
    """
    toolsets = _own_toolsets(folder, config)
    toolsets += [ServiceToolset(name, each, folder=folder) for name, each in config.services.items()]
    pins = Pins(database_of(folder).parent / "mcp.json")
    servers: list[McpToolset] = []
    for name, settings in config.mcp.items():
        before = (*toolsets, *servers)
        taken = partial(_names, before)
        servers.append(McpToolset(name, settings, folder=folder, pins=pins, taken=taken))
    return BotTools(_Lazily(*toolsets, *servers), Merged(*toolsets).tools(), tuple(servers))


class _Lazily(Toolset):
    """Several toolsets as one; nothing is asked of them before it must be."""

    def __init__(self, *toolsets: Toolset) -> None:
        self._toolsets = toolsets

    def tools(self) -> Sequence[Tool]:
        return Merged(*self._toolsets).tools()

    def prepare(self, context: ToolContext) -> Sequence[Tool]:
        return Merged(*self._toolsets).prepare(context)


def _names(toolsets: Sequence[Toolset]) -> list[str]:
    return [tool.name for toolset in toolsets for tool in toolset.tools()]


def _own_toolsets(folder: Path, config: BotConfig) -> list[Toolset]:
    found: dict[str, str] = {}
    toolsets: list[Toolset] = []
    for position, entry in enumerate(config.tools):
        toolset = _toolset_of_entry(folder, entry, position)
        for tool in toolset.tools():
            if tool.name in found:
                raise config_error(
                    folder,
                    f"the tool {tool.name!r} comes from both {found[tool.name]!r} and {entry!r}",
                    at=("tools", position),
                    hint="Rename one of them with @tool(name=…) or drop one entry.",
                )
            found[tool.name] = entry
        toolsets.append(toolset)
    return toolsets


def _toolset_of_entry(folder: Path, entry: str, position: int) -> Toolset:
    if entry.endswith(".py"):
        module = load_python(folder, entry, at=("tools", position))
        toolset = getattr(module, "toolset", None)
        if isinstance(toolset, Toolset):
            return toolset
        tools = [value for value in vars(module).values() if isinstance(value, Tool)]
        if not tools:
            raise BotFileError(
                "the file defines no tool",
                path=folder / entry,
                hint="Decorate a function with @tool, or name a `toolset`.",
            )
        return StaticToolset(tools)
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
    return StaticToolset([report.tools[entry]])


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
