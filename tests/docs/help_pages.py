"""The help of a typer application and of each of its commands, as a person with a terminal sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import typer
from typer.testing import CliRunner

# The same on every machine: width, no colours, and no code that a CI service switches on.
_TERMINAL: Final = {"COLUMNS": "100", "LINES": "40", "NO_COLOR": "1", "TERM": "dumb"}


def help_pages(app: typer.Typer, name: str) -> dict[str, str]:
    """The output of `--help` for the application and every command: `{"agentkit models pull": text}`."""
    runner = CliRunner(env=_TERMINAL)
    pages = {}
    for path in _commands(typer.main.get_command(app), ()):
        result = runner.invoke(app, [*path, "--help"], prog_name=name)
        assert result.exit_code == 0, result.output
        pages[" ".join((name, *path))] = "".join(
            f"{line.rstrip()}\n" for line in result.output.strip().split("\n")
        )
    return pages


def _commands(command: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        if not inner.hidden:
            yield from _commands(inner, (*path, name))


def differences(pages: Mapping[str, str], folder: Path) -> list[str]:
    """What is wrong with the golden files of `folder`, one file for each page.

    With UPDATE_GOLDEN=1 in the environment the files are written first, so that the reviewer reads the diff.
    """
    golden = {f"{command.replace(' ', '-')}.txt": text for command, text in pages.items()}
    if os.environ.get("UPDATE_GOLDEN") == "1":
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.txt"):
            path.unlink()
        for name, text in golden.items():
            (folder / name).write_text(text, encoding="utf-8")
    stored = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.txt")}
    return [
        *(f"{name}: there is no such command any more" for name in sorted(stored.keys() - golden.keys())),
        *(f"{name}: is missing" for name in sorted(golden.keys() - stored.keys())),
        *(
            f"{name}: the help is now\n{golden[name]}"
            for name in sorted(golden.keys() & stored.keys())
            if golden[name] != stored[name]
        ),
    ]
