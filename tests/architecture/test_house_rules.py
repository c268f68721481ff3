"""Conventions that a reviewer would otherwise have to watch for, each tried on code that breaks it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Final, TypeAlias

import pytest

from agentkit import errors
from tests.architecture.source_tree import ALL, ROOT, SHIPPED, Module, dotted, files, imports, modules, parse

# Around a tool call, and around a plugin's import.
BROAD_EXCEPTS: Final = {"agentkit/tools": 1, "agentkit/plugins": 1}

Rule: TypeAlias = Callable[[Module], Iterator[str]]


def broad_excepts(module: Module) -> Iterator[str]:
    """What swallows everything: `except:`, `except Exception`, also in a tuple, and `suppress(Exception)`.

    A handler that ends in `raise` only cleans up.
    """
    for node in ast.walk(module.tree):
        caught: list[ast.expr | None] = []
        if isinstance(node, ast.ExceptHandler):
            if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
                continue
            caught = [*node.type.elts] if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "suppress":
            caught = [*node.args]
        if any(kind is None or dotted(kind) in ("Exception", "BaseException") for kind in caught):
            yield module.place(node)


def unsafe_code(module: Module) -> Iterator[str]:
    """Imports that unpickle or mock, and calls that run text."""
    banned = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "mock", "unittest.mock"}
    for name, statement in imports(module):
        if name in banned:
            yield f"{module.place(statement)}: import of {name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            if dotted(node.func) in ("eval", "exec", "torch.load", "yaml.load", "os.system"):
                yield f"{module.place(node)}: {dotted(node.func)}()"
            if any(
                keyword.arg == "trust_remote_code" and not _is(keyword.value, False)
                for keyword in node.keywords
            ):
                yield f"{module.place(node)}: trust_remote_code"


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def unfinished_code(module: Module) -> Iterator[str]:
    """Notes to come back, and functions that only say that they are missing."""
    note = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    for number, line in enumerate(module.text.splitlines(), 1):
        if note.search(line):
            yield f"{module.path}:{number}"
    for node in ast.walk(module.tree):
        raised = node.exc if isinstance(node, ast.Raise) else None
        raised = raised.func if isinstance(raised, ast.Call) else raised
        if isinstance(raised, ast.Name) and raised.id == "NotImplementedError":
            yield module.place(node)


def skipped_tests(module: Module) -> Iterator[str]:
    """Skips and expected failures."""
    banned = {"skip", "skipif", "xfail", "importorskip"}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in banned and dotted(node).startswith("pytest."):
            yield module.place(node)


def vague_names(module: Module) -> Iterator[str]:
    """Modules whose name does not say what they are for."""
    if PurePosixPath(module.path).stem in ("utils", "util", "helpers", "common", "misc"):
        yield module.path


@pytest.mark.parametrize(
    ("rule", "folders"),
    [(unsafe_code, ALL), (unfinished_code, ALL), (vague_names, ALL), (skipped_tests, ("tests",))],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_rule_is_kept(rule: Rule, folders: tuple[str, ...]) -> None:
    places = [place for module in modules(*folders) for place in rule(module)]
    assert not places, "\n".join(places)


def test_there_are_two_broad_excepts_in_the_project() -> None:
    places = [place for module in modules(*SHIPPED, "examples") for place in broad_excepts(module)]
    allowed = Counter(
        next((folder for folder in BROAD_EXCEPTS if place.startswith(f"{folder}/")), place)
        for place in places
    )
    assert allowed == BROAD_EXCEPTS, "\n".join(places)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (broad_excepts, "try:\n    f()\nexcept:\n    g()"),
        (broad_excepts, "try:\n    f()\nexcept (ValueError, Exception):\n    g()"),
        (broad_excepts, "with contextlib.suppress(Exception):\n    f()"),
        (unsafe_code, "from unittest import mock"),
        (unsafe_code, "def f():\n    import pickle"),
        (unsafe_code, "eval('1')"),
        (unsafe_code, "torch.load(path)"),
        (unsafe_code, "AutoModel.from_pretrained(path, trust_remote_code=flag)"),
        (unfinished_code, "x = 1  # TO" + "DO later"),
        (unfinished_code, "def f():\n    raise NotImplementedError"),
        (skipped_tests, "@pytest.mark.skip\ndef test_x():\n    f()"),
        (skipped_tests, "torch = pytest.importorskip('torch')"),
    ],
)
def test_a_breach_is_found(rule: Rule, text: str) -> None:
    assert list(rule(parse("agentkit/x.py", text))) != []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (broad_excepts, "try:\n    f()\nexcept (ValueError, OSError):\n    g()"),
        (broad_excepts, "try:\n    f()\nexcept BaseException:\n    rollback()\n    raise"),
        (unfinished_code, "try:\n    f()\nexcept NotImplementedError:\n    g()"),
        (unsafe_code, "model.eval()\nfrom unittest import TestCase"),
        (unsafe_code, "AutoModel.from_pretrained(path, trust_remote_code=False)"),
        (skipped_tests, "queue.skip()"),
    ],
)
def test_what_only_looks_like_a_breach_is_left_alone(rule: Rule, text: str) -> None:
    assert list(rule(parse("agentkit/x.py", text))) == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    machine = re.compile(r"(?<![\w.~])/(work|root|opt/(wheels|pypi)|tmp/wheels)/", re.ASCII)
    found = [
        f"{name}:{number}"
        for name in files()
        if name != "tests/architecture/test_house_rules.py"
        for number, line in enumerate(_lines(name), 1)
        if machine.search(line)
    ]
    assert not found, "\n".join(found)


def _lines(name: str) -> list[str]:
    try:
        return (ROOT / name).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []  # not a text file


def test_no_error_class_is_left_unused() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    leaves = [
        cls.__name__
        for cls in classes
        if issubclass(cls, Exception) and cls.__module__ == errors.__name__ and not cls.__subclasses__()
    ]
    used = {
        node.id
        for module in modules("agentkit")
        if module.path != "agentkit/errors.py"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name)
    }
    unused = sorted(set(leaves) - used)
    assert not unused, ", ".join(unused)
