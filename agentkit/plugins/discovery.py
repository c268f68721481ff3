"""Finding plugins by their entry points. A broken one is named and switched off; the rest start."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions, version
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from agentkit.errors import PluginError
from agentkit.plugins.foreign_code import naming_failures
from agentkit.plugins.registry import Registry
from agentkit.tools import Tool

GROUP: Final = "agentkit.plugins"
"""The entry point group: `[project.entry-points."agentkit.plugins"]`, `name = "package.module:register"`."""

_DISTRIBUTION: Final = "agentkit-local"
_logger: Final = logging.getLogger("agentkit.plugins")
_logger.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that is switched off.

    Args:
        name: Name of its entry point.
        distribution: Name and version of the package that it comes from.
        error: Why, and what to do.
    """

    name: str
    distribution: str
    error: PluginError


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin that works.

    Args:
        name: Name of its entry point.
        distribution: Name and version of the package that it comes from.
        tools: Names of the tools that it adds.
    """

    name: str
    distribution: str
    tools: tuple[str, ...]


@dataclass(frozen=True)
class PluginReport:
    """What the installed plugins add.

    Args:
        tools: All tools by name: plugins in the order of their names, each in the order of its own.
        broken: Plugins that are switched off, none of whose tools is in `tools`.
        loaded: Plugins that work, in the order of their names.
    """

    tools: dict[str, Tool]
    broken: list[BrokenPlugin]
    loaded: list[LoadedPlugin] = field(default_factory=list)


def load_plugins(path: Sequence[str] | None = None) -> PluginReport:
    """Import and register every installed plugin.

    Plugins load in the order of their names. One that was made for another version of agentkit, that cannot be
    imported, whose `register` raises, or that claims the name of a tool which an earlier plugin has added is
    switched off as a whole.

    Args:
        path: Folders to look for packages in; None: `sys.path`.
    """
    tools: dict[str, Tool] = {}
    added_by: dict[str, str] = {}
    broken: list[BrokenPlugin] = []
    loaded: list[LoadedPlugin] = []
    for entry, package in _entries(path):
        distribution = f"{package.metadata['Name']} {package.version}"
        try:
            _check_version(entry, package)
            added = _register(entry, distribution)
            _check_names(added, added_by, entry.name)
        except PluginError as error:
            _logger.warning("plugin %s of %s is switched off: %s", entry.name, distribution, error.message)
            broken.append(BrokenPlugin(entry.name, distribution, error))
            continue
        tools.update(added)
        added_by.update(dict.fromkeys(added, entry.name))
        loaded.append(LoadedPlugin(entry.name, distribution, tuple(added)))
    return PluginReport(tools, broken, loaded)


def _entries(path: Sequence[str] | None) -> list[tuple[EntryPoint, Distribution]]:
    """Entry points with the package they come from; a package that is on the path twice counts once."""
    found: dict[tuple[str, str], tuple[EntryPoint, Distribution]] = {}
    installed = distributions() if path is None else distributions(path=list(path))
    for distribution in installed:
        for entry in distribution.entry_points.select(group=GROUP):
            found.setdefault((entry.name, distribution.metadata["Name"]), (entry, distribution))
    return [found[key] for key in sorted(found)]


def _check_version(entry: EntryPoint, package: Distribution) -> None:
    """Refuse a plugin whose package asks for another version of agentkit, before any of its code runs."""
    for text in package.requires or ():
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue  # a package that pip would not install either; what it adds is tried all the same
        if wanted.name != _DISTRIBUTION or (wanted.marker is not None and not wanted.marker.evaluate()):
            continue
        installed = version(_DISTRIBUTION)
        if not wanted.specifier.contains(installed, prereleases=True):
            raise PluginError(
                f"plugin `{entry.name}` of {package.metadata['Name']} {package.version} is made for agentkit "
                f"{wanted.specifier}, this is {installed}",
                hint=f"install a version of {package.metadata['Name']} for {installed}, or that agentkit",
            )


def _register(entry: EntryPoint, distribution: str) -> dict[str, Tool]:
    registry = Registry(entry.name)
    where = f"plugin `{entry.name}` of {distribution} ({entry.value})"

    def cannot_be_loaded(problem: Exception | SystemExit) -> PluginError:
        if isinstance(problem, PluginError):
            return problem
        _logger.debug("%s cannot be loaded", where, exc_info=problem)
        return PluginError(
            f"{where} cannot be loaded: {type(problem).__name__}: {problem}",
            hint="update or uninstall the package; everything else works without it",
        )

    with naming_failures(cannot_be_loaded):
        register = entry.load()
        register(registry)
    return registry.tools


def _check_names(added: dict[str, Tool], added_by: dict[str, str], plugin: str) -> None:
    for name in added:
        if name in added_by:
            raise PluginError(
                f"the plugins `{added_by[name]}` and `{plugin}` both add a tool called `{name}`; "
                f"`{plugin}` is switched off",
                hint="uninstall one of the two packages, or ask for a longer name of the tool",
            )
