"""The errors: a tree that is its own documentation, and messages that say what to do."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

from agentkit import errors
from agentkit.errors import AgentKitError, BotFileError, ToolFailed, ToolRetry

CLASSES = tuple(
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == errors.__name__
)


def documented_parents() -> dict[str, str | None]:
    """Each class in the tree of the module's docstring with the class it hangs on."""
    above: list[tuple[int, str]] = []
    parents: dict[str, str | None] = {}
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        found = re.match(r"^    ((?:│   |    )*)(├── |└── )?([A-Z]\w+) {2,}\S", line)
        if found is None or "," in found[3]:
            continue
        depth = len(found[1]) // 4 + (found[2] is not None)
        above = [(level, name) for level, name in above if level < depth]
        parents[found[3]] = above[-1][1] if above else None
        above.append((depth, found[3]))
    return parents


def test_the_docstring_shows_the_tree_as_it_is() -> None:
    real = {
        cls.__name__: None if cls is AgentKitError else cls.__bases__[0].__name__
        for cls in CLASSES
        if issubclass(cls, AgentKitError)
    }
    assert documented_parents() == real


def test_the_docstring_names_the_control_flow_of_tools() -> None:
    assert "ToolFailed, ToolRetry" in (errors.__doc__ or "")
    assert not issubclass(ToolFailed, AgentKitError)
    assert not issubclass(ToolRetry, AgentKitError)


def test_siblings_of_the_tree_are_in_alphabetical_order() -> None:
    children: dict[str | None, list[str]] = {}
    for name, parent in documented_parents().items():
        children.setdefault(parent, []).append(name)
    assert {parent: sorted(names) for parent, names in children.items()} == children


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if issubclass(cls, AgentKitError)])
def test_every_error_says_what_happened_and_what_to_do(cls: type[AgentKitError]) -> None:
    place = {"path": "bot/agent.yaml"} if issubclass(cls, BotFileError) else {}
    error = cls("the model is not there", hint="run agentkit models list", **place)
    assert error.message.endswith("the model is not there")
    assert error.hint == "run agentkit models list"
    assert str(error).endswith("the model is not there\n  → run agentkit models list")


def test_an_error_without_a_hint_is_one_line() -> None:
    assert str(AgentKitError("it is gone")) == "it is gone"


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        (None, None, "bot/agent.yaml: it is wrong"),
        (7, None, "bot/agent.yaml:7: it is wrong"),
        (None, "limits.steps", "bot/agent.yaml: field `limits.steps`: it is wrong"),
        (7, "limits.steps", "bot/agent.yaml:7: field `limits.steps`: it is wrong"),
    ],
)
def test_an_error_in_a_bot_file_names_the_place(line: int | None, field: str | None, expected: str) -> None:
    assert str(BotFileError("it is wrong", path="bot/agent.yaml", line=line, field=field)) == expected


def test_the_errors_need_nothing_beyond_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import agentkit.errors;"
        "print({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "{'agentkit'}"
