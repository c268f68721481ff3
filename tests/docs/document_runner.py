"""Does what a reader of a document would do: types its commands, writes its files, runs its Python.

Everything happens in one folder that begins as a copy of the repository, in the order of the document:

- ``python`` runs; all blocks share one process and its names. A ``text`` block right after shows its output.
- ``bash`` and ``console`` run command by command in one shell, with nothing to type into. Output shown in a
  ``console`` block must be what is printed; ``…`` stands for anything.
  The virtual environment is `.venv`, as after `make setup`; a document must say to activate it.
- Any language with ``title=NAME`` is written to that file instead; with ``at=end`` it is added to the file, with
  ``below=TEXT`` inserted below the first line that says just that.
- ``make WORD`` is checked to exist and not run: the words are what CI runs. ``pip install FOLDER`` installs
  beside the virtual environment, so that nothing of it stays.

Every other language fails, so that nothing in a document goes unchecked.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from tests.docs.blocks import (
    Block,
    Command,
    DocumentError,
    console_commands,
    read_blocks,
    same_output,
    shell_commands,
)

# Checks the targets and runs nothing.
_MAKE: Final = """#!/bin/sh
exec '{make}' --no-print-directory --dry-run -C '{repository}' "$@" >/dev/null
"""
# Installs beside the virtual environment, never into it, and without network.
_PIP: Final = """#!/bin/sh
[ "$1" = install ] && shift || exec '{python}' -m pip "$@"
[ "$1" = -e ] && shift
[ -d "$1" ] && set -- "./$1"  # without -e a bare word is the name of a package
exec '{python}' -m pip install --quiet --no-index --no-deps --no-build-isolation --upgrade \\
    --target '{target}' "$@"
"""
_WRITABLE: Final = ("bash", "ini", "jinja", "json", "markdown", "python", "text", "toml", "yaml")


class Reader:
    """Follows a document in a folder of its own.

    Args:
        repository: The checkout to copy; `names` are its files.
        folder: An empty folder.
        environment: Further environment variables.
        seconds: Longest time for one command or block.
    """

    def __init__(
        self,
        repository: Path,
        names: Iterable[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        seconds: float = 240,
    ) -> None:
        self._copy = folder / "copy"
        self._state = folder / "state"
        self._copy.mkdir()
        self._state.mkdir()
        for name in names:
            (self._copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / name, self._copy / name)
        installed = folder / "installed"
        real = Path(sys.prefix) / "bin"
        _virtual_environment(self._copy / ".venv", installed)
        programs = folder / "programs"
        programs.mkdir()
        _program(programs / "make", _MAKE.format(make=shutil.which("make"), repository=repository))
        self._environment = os.environ | {"COLUMNS": "100", "TERM": "dumb"} | dict(environment or {})
        # The reader's shell knows the virtual environment only once the document says to activate it.
        places = [place for place in os.environ["PATH"].split(os.pathsep) if Path(place) != real]
        self._environment["PATH"] = os.pathsep.join((str(programs), *places))
        self._environment["PYTHONPATH"] = str(installed)
        self._seconds = seconds
        self._python: subprocess.Popen[str] | None = None
        self._printed: str | None = None
        self._begin = f"cd {shlex.quote(str(self._copy))}"

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._python is not None:
            self._python.kill()
            self._python.communicate()

    def follow(self, name: str, markdown: str) -> int:
        """Do what a document says; return the number of its blocks.

        Raises:
            DocumentError: Something does not work, or prints something else than the document shows.
        """
        count = 0
        for block in read_blocks(name, markdown):
            self.do(block)
            count += 1
        return count

    def do(self, block: Block) -> None:
        """Do what one block says."""
        printed, self._printed = self._printed, None
        if "title" in block.options and block.language in _WRITABLE:
            self._write(block)
        elif block.language == "python":
            self._printed = self._run_python(block)
        elif block.language == "bash":
            self._run_commands(block, shell_commands(block.text))
        elif block.language == "console":
            self._run_commands(block, console_commands(block.text))
        elif block.language == "text" and printed is not None:
            _compare(block.place, "the block above", block.text, printed)
        else:
            raise DocumentError(
                f"{block.place}: nothing is known to do with a block of language {block.language!r}; "
                "see tests/docs/document_runner.py for what there is"
            )

    def _write(self, block: Block) -> None:
        path = (self._copy / block.options["title"]).resolve()
        if not path.is_relative_to(self._copy.resolve()):
            raise DocumentError(f"{block.place}: {block.options['title']} lies outside the folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_changed(path, block), encoding="utf-8")

    def _run_commands(self, block: Block, commands: Iterable[Command]) -> None:
        for command in commands:
            status, printed = self._run_command(command.text)
            if status != 0:
                raise DocumentError(f"{block.place}: `{command.text}` ended with {status}:\n{printed}")
            if command.output is not None:
                _compare(block.place, f"`{command.text}`", command.output, printed)

    def _run_command(self, command: str) -> tuple[int | str, str]:
        """Run one command where the last one left off: its folder and its variables are kept."""
        variables = shlex.quote(str(self._state / "variables"))
        place = shlex.quote(str(self._state / "folder"))
        script = f"{self._begin}\ntrap 'export -p >{variables}; pwd >{place}' EXIT\n{command}"
        self._begin = f'source {variables}; cd "$(cat {place})"'
        process = subprocess.Popen(
            ["bash", "-c", script],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that its children can be ended with it
        )
        try:
            printed, _ = process.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            return f"no end after {self._seconds:g} s", printed
        return process.returncode, printed

    def _run_python(self, block: Block) -> str:
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("python_session.py"))],
                cwd=self._copy,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        self._python.stdin.write(json.dumps({"place": block.place, "code": block.text}) + "\n")
        self._python.stdin.flush()
        limit = threading.Timer(self._seconds, self._python.kill)
        limit.start()
        line = self._python.stdout.readline()
        limit.cancel()
        if not line:
            raise DocumentError(f"{block.place}: Python crashed or took longer than {self._seconds:g} s")
        answer = json.loads(line)
        if answer["failed"]:
            raise DocumentError(f"{block.place}: the Python fails:\n{answer['printed']}")
        return str(answer["printed"])


def _changed(path: Path, block: Block) -> str:
    """What a file holds after a block that is written to it, or into it."""
    if not {"at", "below"} & block.options.keys():
        return block.text
    if not path.is_file():
        raise DocumentError(f"{block.place}: there is no {block.options['title']} to add anything to")
    text = path.read_text(encoding="utf-8")
    if block.options.get("at") == "end":
        return text + block.text
    before, line, after = text.partition(f"{block.options.get('below')}\n")
    if not line:
        raise DocumentError(f"{block.place}: {path.name} has no line {block.options.get('below')!r}")
    return before + line + block.text + after


def _virtual_environment(folder: Path, installed: Path) -> None:
    """Make `folder` look like the running virtual environment, but with a pip that leaves that one alone."""
    real = Path(sys.prefix)
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    shutil.copyfile(real / "pyvenv.cfg", folder / "pyvenv.cfg")
    (folder / "lib").symlink_to(real / "lib", target_is_directory=True)
    for program in (real / "bin").iterdir():
        if program.name == "activate":
            text = program.read_text(encoding="utf-8").replace(str(real), str(folder))
            (binaries / program.name).write_text(text, encoding="utf-8")
        elif program.name in ("pip", "pip3"):
            _program(binaries / program.name, _PIP.format(python=sys.executable, target=installed))
        else:
            (binaries / program.name).symlink_to(program)


def _program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _compare(place: str, what: str, shown: str, printed: str) -> None:
    if not same_output(shown, printed):
        raise DocumentError(f"{place}: {what} prints\n{printed}\nbut the document shows\n{shown}")
