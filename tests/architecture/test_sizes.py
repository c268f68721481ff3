"""Budgets: raising one is a commit of its own with a reason."""

from __future__ import annotations

import ast
from typing import Final

import pytest

from tests.architecture.source_tree import ALL, SHIPPED, Definition, Module, modules, parse

MODULE_LINES: Final = 400
FUNCTION_LINES: Final = 60
CLASS_LINES: Final = 200


def too_long_modules(module: Module) -> list[str]:
    """The module itself if it has too many lines."""
    lines = len(module.text.splitlines())
    return [f"{module.path}: {lines} lines"] if lines > MODULE_LINES else []


def too_long_definitions(module: Module) -> list[str]:
    """Functions and classes with too many lines, their docstrings included."""
    return [
        f"{module.place(node)}: {node.name} has {lines} lines"
        for node in ast.walk(module.tree)
        if isinstance(node, Definition)
        and (lines := (node.end_lineno or 0) - node.lineno + 1)
        > (CLASS_LINES if isinstance(node, ast.ClassDef) else FUNCTION_LINES)
    ]


def test_no_module_is_too_long() -> None:
    places = [place for module in modules(*ALL) for place in too_long_modules(module)]
    assert not places, "\n".join(places)


def test_no_function_and_no_class_is_too_long() -> None:
    places = [place for module in modules(*SHIPPED, "examples") for place in too_long_definitions(module)]
    assert not places, "\n".join(places)


@pytest.mark.parametrize(("head", "budget"), [("def f():", FUNCTION_LINES), ("class C:", CLASS_LINES)])
def test_one_line_over_the_budget_is_found(head: str, budget: int) -> None:
    def with_lines(count: int) -> Module:
        return parse("agentkit/x.py", head + "\n    x = 1" * (count - 1))

    assert too_long_definitions(with_lines(budget)) == []
    assert len(too_long_definitions(with_lines(budget + 1))) == 1


def test_one_line_over_the_budget_of_a_module_is_found() -> None:
    assert too_long_modules(parse("agentkit/x.py", "x = 1\n" * MODULE_LINES)) == []
    assert too_long_modules(parse("agentkit/x.py", "x = 1\n" * (MODULE_LINES + 1))) != []
