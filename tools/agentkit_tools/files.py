"""Files below one folder, and no way out of it: no `..`, no links, no absolute paths, no devices."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from agentkit import Authority, Content, StaticToolset, ToolFailed, ToolRetry, Toolset, tool

_MOST_LISTED: Final = 200
_MOST_LOOKED_AT: Final = 10_000
_MOST_BYTES: Final = 5_000_000
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK if hasattr(os, "O_NOFOLLOW") else 0
_PATH: Final = Field(min_length=1, max_length=500)


def file_tools(folder: str | Path, *, writable: bool = False, trusted: bool = False) -> Toolset:
    """`list_files` and `read_file`, and with `writable` also `write_file`, below one folder.

    Args:
        folder: The folder; a relative one starts from where the program runs.
        writable: Whether files may be written.
        trusted: Whether what the files say is believed, as those of the bot's author may be.
    """
    root = Path(folder).resolve()

    @tool(effect="read", trusted=trusted)
    def list_files(pattern: Annotated[str, _PATH] = "*") -> list[str]:
        """List the files that there are, with folder and name.

        Args:
            pattern: Which ones, such as *.md or reports/*; * alone lists all.
        """
        found: list[str] = []
        for looked_at, name in enumerate(_names(root)):
            if fnmatch.fnmatchcase(name, pattern):
                found.append(name)
            if len(found) >= _MOST_LISTED or looked_at >= _MOST_LOOKED_AT:
                break
        return sorted(found)

    @tool(effect="read", trusted=trusted)
    def read_file(
        path: Annotated[str, _PATH],
        first_line: Annotated[int, Field(ge=1)] = 1,
        lines: Annotated[int, Field(ge=1, le=1000)] = 200,
    ) -> str:
        """Read a text file.

        Args:
            path: Folder and name, as list_files gives them.
            first_line: The line to begin with.
            lines: How many lines at most.
        """
        return "".join(_text(root, path).splitlines(keepends=True)[first_line - 1 : first_line - 1 + lines])

    @tool(effect="write", idempotent=True)
    def write_file(
        path: Annotated[str, _PATH, Authority()], text: Annotated[str, Field(max_length=100_000), Content()]
    ) -> dict[str, str | int]:
        """Write a text file; one that is there already is replaced.

        Args:
            path: Folder and name; the folder must be there.
            text: All of its text.
        """
        return {"path": path, "bytes": _replace(root, path, text)}

    return StaticToolset([list_files, read_file, *([write_file] if writable else [])])


def _text(root: Path, path: str) -> str:
    with _opened(root, path, os.O_RDONLY) as file:
        size = os.fstat(file).st_size
        if size > _MOST_BYTES:
            raise ToolFailed(f"{path} has {size} bytes, at most {_MOST_BYTES} can be read")
        content = b"".join(iter(lambda: os.read(file, 1 << 16), b""))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise ToolFailed(f"{path} is no text") from problem


def _replace(root: Path, path: str, text: str) -> int:
    content = text.encode("utf-8", "replace")
    with _opened(root, path, os.O_WRONLY | os.O_CREAT) as file:
        os.ftruncate(file, 0)
        written = 0
        while written < len(content):
            written += os.write(file, content[written:])
    return len(content)


def _names(root: Path) -> Iterator[str]:
    for place, folders, files in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(files):
            whole = Path(place) / name
            if whole.is_file() and not whole.is_symlink():
                yield whole.relative_to(root).as_posix()


@contextmanager
def _opened(root: Path, path: str, flags: int) -> Iterator[int]:
    """The file at `path`, opened one folder after another, so that no link is ever followed."""
    steps = path.replace("\\", "/").split("/")
    if any(step in ("", ".", "..") or "\0" in step or ":" in step for step in steps):
        raise ToolRetry(
            f"{path[:100]!r} is no path below the folder: name folder and file as list_files does"
        )
    try:
        place = os.open(root, os.O_RDONLY | _FLAGS)
        with closing(_Handle(place)) as handle:
            for step in steps[:-1]:
                handle.move(os.open(step, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=handle.number))
            handle.move(os.open(steps[-1], flags | _FLAGS, 0o644, dir_fd=handle.number))
            if not stat.S_ISREG(os.fstat(handle.number).st_mode):
                raise ToolFailed(f"{path} is no file")
            yield handle.number
    except OSError as problem:
        raise ToolFailed(f"{path} cannot be opened: {_reason(problem)}") from problem


class _Handle:
    """An open file or folder; moving on closes it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def move(self, number: int) -> None:
        os.close(self.number)
        self.number = number

    def close(self) -> None:
        os.close(self.number)


def _reason(problem: OSError) -> str:
    named: dict[type[Any], str] = {
        FileNotFoundError: "it is not there",
        NotADirectoryError: "a part of the path is no folder, or a link",
        IsADirectoryError: "it is a folder",
        PermissionError: "it is not permitted",
    }
    return named.get(type(problem), "it is a link, or no file")
