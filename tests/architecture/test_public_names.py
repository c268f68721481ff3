"""What is public is listed, sorted and documented, and everything outside agentkit/ uses nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import agentkit
from tests.architecture.source_tree import ROOT, TEMPLATES, Module, modules, parse

# mypy may not know them yet: they are set when the module is run.
PUBLIC: Final[tuple[str, ...]] = tuple(vars(agentkit).get("__all__", ()))
INITS: Final = tuple(
    module
    for module in modules("agentkit")
    if module.path.endswith("/__init__.py") and not module.path.startswith(TEMPLATES)
)


def listed_names(module: Module) -> list[str] | None:
    """The names in `__all__`, None where it is missing or not a plain list of texts."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                names = ast.literal_eval(node.value)
                return list(names) if all(isinstance(name, str) for name in names) else None
    return None


@pytest.mark.parametrize("module", INITS, ids=lambda module: module.path)
def test_every_package_lists_its_public_names(module: Module) -> None:
    names = listed_names(module)
    assert names is not None, f"{module.path} has no __all__ that lists its names"
    assert len(set(names)) == len(names)
    package = module.path.removesuffix("/__init__.py").replace("/", ".")
    code = f"import {package} as package; print([n for n in package.__all__ if not hasattr(package, n)])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert found.stdout.strip() == "[]", found.stdout + found.stderr


def test_the_public_names_are_sorted() -> None:
    # ruff's order: CONSTANTS, then Classes, then functions.
    command = [str(Path(sys.executable).with_name("ruff")), "check", "--isolated", "--select", "RUF022"]
    found = subprocess.run(
        [*command, *(module.path for module in INITS)], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


def test_every_public_name_of_agentkit_says_what_it_is() -> None:
    values = {name: getattr(agentkit, name) for name in PUBLIC}
    silent = [name for name, value in values.items() if callable(value) and not (value.__doc__ or "").strip()]
    assert silent == []


def private_imports(module: Module, public: frozenset[str]) -> list[str]:
    """The imports that reach past what agentkit makes public: its listed names and `agentkit.testing`."""
    found = []
    for node in ast.walk(module.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name not in ("agentkit", "agentkit.testing")]
        elif isinstance(node, ast.ImportFrom) and node.module == "agentkit":
            names = [f"agentkit.{alias.name}" for alias in node.names if alias.name not in public]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module != "agentkit.testing":
            names = [node.module or ""]
        found += [f"{module.place(node)}: {name}" for name in names if name.startswith("agentkit.")]
    return found


@pytest.mark.parametrize("folder", ["tools", "prompts", "examples", *TEMPLATES])
def test_plugins_and_examples_import_only_public_names(folder: str) -> None:
    public = frozenset(PUBLIC) | {"testing"}
    places = [place for module in modules(folder) for place in private_imports(module, public)]
    assert not places, "\n".join(places)


@pytest.mark.parametrize(
    ("text", "is_private"),
    [
        ("from agentkit import tool", False),
        ("from agentkit.testing import ScriptedGenerator", False),
        ("import agentkit", False),
        ("from agentkit_tools import plugin", False),
        ("from agentkit import store", True),
        ("from agentkit.tools import tool", True),
        ("import agentkit.tools.decorator", True),
        ("def f():\n    from agentkit.store import protocol", True),
    ],
)
def test_an_import_past_the_public_names_is_found(text: str, is_private: bool) -> None:
    module = parse("tools/agentkit_tools/x.py", text)
    assert bool(private_imports(module, frozenset({"testing", "tool"}))) == is_private
