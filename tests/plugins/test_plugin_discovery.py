"""Plugins are found by entry point in real installed packages; a broken one hinders no other."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.errors import PluginError
from agentkit.plugins import PluginReport, Registry, load_plugins
from agentkit.tools import tool

TOOL = '''
from agentkit.tools import tool

@tool(effect="read")
def {name}() -> str:
    """Say where it comes from."""
    return __name__

def register(registry):
    registry.add_tool({name})
'''


def install(site: Path, package: str, code: str, entry: str | None = None, requires: str = "") -> None:
    """Put a tiny distribution into `site`, as pip would."""
    module = package.replace("-", "_")
    (site / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
    metadata = site / f"{module}-1.2.dist-info"
    metadata.mkdir()
    metadata.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n"
        + (f"Requires-Dist: {requires}\n" if requires else ""),
        encoding="utf-8",
    )
    metadata.joinpath("entry_points.txt").write_text(
        f"[agentkit.plugins]\n{module} = {entry or f'{module}:register'}\n", encoding="utf-8"
    )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages; what is imported from it is forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [file.stem for file in tmp_path.glob("*.py")]:
        sys.modules.pop(name, None)


def load(site: Path) -> PluginReport:
    return load_plugins([str(site)])


def test_the_tools_of_all_plugins_are_found_in_the_order_of_their_names(site: Path) -> None:
    install(site, "zoo-tools", TOOL.format(name="feed"))
    install(site, "art-tools", TOOL.format(name="paint"))
    report = load(site)
    assert list(report.tools) == ["paint", "feed"]
    assert report.tools["feed"]() == "zoo_tools"
    assert report.broken == []


def test_no_plugins_are_no_error(site: Path) -> None:
    assert load(site) == PluginReport({}, [])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import does_not_exist", "ModuleNotFoundError: No module named 'does_not_exist'"),
        ("def register(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "AttributeError: module 'bad_tools' has no attribute 'register'"),
        ("register = 1", "TypeError: 'int' object is not callable"),
        ("def register(registry): raise KeyError('x')", "KeyError: 'x'"),
        ("def register(registry): registry.add_tool(len)", "adds <built-in function len>, which is no tool"),
        (
            TOOL.format(name="twice") + "    registry.add_tool(twice)\n",
            "plugin `bad_tools` adds two tools called `twice`",
        ),
        (
            TOOL.format(name="vague").replace('"""Say where it comes from."""', ""),
            "ToolDefinitionError: bad_tools.vague",
        ),
    ],
)
def test_a_broken_plugin_is_named_and_the_rest_start(site: Path, code: str, words: str) -> None:
    install(site, "good-tools", TOOL.format(name="paint"))
    install(site, "bad-tools", code)
    report = load(site)
    assert list(report.tools) == ["paint"]
    (broken,) = report.broken
    assert (broken.name, broken.distribution) == ("bad_tools", "bad-tools 1.2")
    assert words in broken.error.message
    assert "`bad_tools`" in broken.error.message
    assert broken.error.hint


def test_a_plugin_that_fails_halfway_adds_nothing(site: Path) -> None:
    install(site, "bad-tools", TOOL.format(name="first") + "    raise ValueError('then')\n")
    assert load(site).tools == {}


def test_two_plugins_with_one_tool_name_are_both_named(site: Path) -> None:
    install(site, "art-tools", TOOL.format(name="paint"))
    install(site, "zoo-tools", TOOL.format(name="paint"))
    report = load(site)
    assert report.tools["paint"]() == "art_tools"
    (broken,) = report.broken
    assert broken.name == "zoo_tools"
    assert "`art_tools` and `zoo_tools` both add a tool called `paint`" in broken.error.message


def test_a_plugin_for_a_newer_agentkit_is_switched_off_before_its_code_runs(site: Path) -> None:
    install(site, "good-tools", TOOL.format(name="paint"), requires="agentkit-local>=0.1")
    install(site, "new-tools", f"open({str(site / 'ran')!r}, 'w')", requires="agentkit-local>=7,<8")
    report = load(site)
    assert [plugin.tools for plugin in report.loaded] == [("paint",)]
    (broken,) = report.broken
    assert (
        "plugin `new_tools` of new-tools 1.2 is made for agentkit <8,>=7, this is 0." in broken.error.message
    )
    assert "install a version of new-tools" in broken.error.hint
    assert not (site / "ran").exists()


@pytest.mark.parametrize(
    "requires",
    ["pydantic>=99", "agentkit-local>=99; python_version < '3'", "not a requirement !", "agentkit-local"],
)
def test_other_requirements_are_left_to_the_package_manager(site: Path, requires: str) -> None:
    install(site, "good-tools", TOOL.format(name="paint"), requires=requires)
    assert list(load(site).tools) == ["paint"]


def test_the_list_names_what_works_and_what_is_switched_off(tmp_path: Path) -> None:
    install(tmp_path, "art-tools", TOOL.format(name="paint"))
    install(tmp_path, "bad-tools", "1/0")
    command = [sys.executable, "-m", "agentkit", "plugins", "list"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "120"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "art-tools 1.2" in done.stdout
    assert "switched off" in done.stdout
    assert "plugin `bad_tools` of bad-tools 1.2" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_a_registry_refuses_a_plain_function() -> None:
    with pytest.raises(PluginError, match="is no tool"):
        Registry("mine").add_tool(len)  # type: ignore[arg-type]


def test_a_registry_keeps_the_order() -> None:
    @tool(effect="read")
    def look() -> None:
        """Look."""

    registry = Registry("mine")
    for name in ("b", "a"):
        registry.add_tool(look.renamed(name))
    assert list(registry.tools) == ["b", "a"]


def test_an_installed_plugin_is_found_on_sys_path_beside_the_shipped_one(tmp_path: Path) -> None:
    install(tmp_path, "art-tools", TOOL.format(name="paint"))
    install(tmp_path, "bad-tools", "1/0")
    code = """
        from agentkit.plugins import load_plugins
        report = load_plugins()
        print("paint" in report.tools, "calculate" in report.tools)
        print([(each.name, each.distribution) for each in report.broken])
    """
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(tmp_path)!r})\n{textwrap.dedent(code)}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "True True\n[('bad_tools', 'bad-tools 1.2')]\n"
