"""The Python files of the repository, parsed once, for tests that check conventions."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

ROOT: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = ("agentkit", "tools/agentkit_tools", "prompts/agentkit_prompts")
# What `agentkit new` copies: files of the user's, not modules of agentkit.
TEMPLATES: Final = ("agentkit/bot/template", "agentkit/plugins/template")
ALL: Final = (*SHIPPED, "examples", "benchmarks", "tests", "dev")

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the root with forward slashes, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    def place(self, node: ast.AST) -> str:
        """Where `node` is, as an editor opens it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@functools.cache
def files() -> tuple[str, ...]:
    """Every file that belongs to the repository: tracked, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()}))


@functools.cache
def modules(*folders: str) -> tuple[Module, ...]:
    """The Python files of the repository under `folders`."""
    wanted = tuple(f"{folder}/" for folder in folders)
    return tuple(
        parse(name, (ROOT / name).read_text(encoding="utf-8"))
        for name in files()
        if name.endswith(".py") and name.startswith(wanted)
    )


def parse(path: str, text: str) -> Module:
    """A module from its text; `path` is only its name."""
    return Module(path, text, ast.parse(text, path))


def imports(module: Module) -> Iterator[tuple[str, ast.stmt]]:
    """Each imported module's dotted name, at any depth of the file: `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def dotted(node: ast.expr) -> str:
    """`a.b.c` for an attribute access or a name, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""
