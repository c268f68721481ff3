"""Runs a piece of Python in a process of its own: without root's rights, or under a limit."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.architecture.source_tree import ROOT

SAY_SOMETHING: Final = """
import os, sys, tempfile
from pathlib import Path
from agentkit.errors import AgentKitError
from tests.store.samples import open_store, say

def say_something(folder):
    try:
        with open_store(Path(folder)) as store:
            ada = store.for_user("shop", "ada")
            say(ada, ada.new_conversation(), "hello there")
            print("stored")
    except AgentKitError as error:
        print(type(error).__name__, error)
"""

AS_AN_ORDINARY_USER: Final = (
    SAY_SOMETHING
    + """
with tempfile.TemporaryDirectory() as folder, open_store(Path(folder)) as store:
    pass  # everything is imported now: an ordinary user may not be able to read the Python of root
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
say_something(sys.argv[1])
"""
)


def run(code: str, *arguments: object) -> str:
    """What `code` prints; it must end well. Its arguments are in `sys.argv[1:]`."""
    return _output(["-c", code], arguments)


def run_file(path: str, *arguments: object) -> str:
    """What a Python file of this repository prints; it must end well."""
    return _output([path], arguments)


def _output(program: list[str], arguments: tuple[object, ...]) -> str:
    finished = subprocess.run(
        [sys.executable, *program, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


@contextmanager
def folder_for_everybody() -> Iterator[Path]:
    """A folder that every user of the machine reaches; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
        folder.chmod(0o700)
