"""What a model folder in the cache must hold: written last, so that a folder without it is not finished."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from agentkit.messages import Value
from agentkit.models.progress import Progress, Silent, task

MANIFEST_NAME: Final = "agentkit-model.json"
LAYOUT: Final = 1
"""Raised when the conversion changes, so that folders made before are made again."""

_BLOCK: Final = 4 * 1024 * 1024


class FileRecord(Value):
    """Size in bytes and SHA-256 of one file."""

    size: int
    sha256: str


class Manifest(Value):
    """The files of a model folder.

    Args:
        layout: Version of the conversion that made it.
        source_sha256: Hash of the weights it was made from.
        files: By path inside the folder, with forward slashes.
    """

    layout: int
    source_sha256: str
    files: dict[str, FileRecord] = Field(min_length=1)

    @property
    def weights_sha256(self) -> str:
        """Hash of the largest file."""
        return max(self.files.values(), key=lambda record: record.size).sha256


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file of a model folder."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a file, read in blocks; `progress` is told the bytes of each."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if progress is not None:
                progress.advance(len(block))
    return digest.hexdigest()


def write_manifest(folder: Path, source_sha256: str, progress: Progress | None = None) -> None:
    """Record every file of `folder`, which is complete.

    Args:
        folder: A model folder without a manifest.
        source_sha256: Hash of the weights it was made from.
        progress: Told of the bytes that are hashed.
    """
    bar = progress or Silent()
    paths = sorted(_files_below(folder))
    with task(bar, "Checking the files", sum(path.stat().st_size for path in paths)):
        files = {
            path.relative_to(folder).as_posix(): FileRecord(
                size=path.stat().st_size, sha256=sha256_of(path, bar)
            )
            for path in paths
        }
    manifest = Manifest(layout=LAYOUT, source_sha256=source_sha256, files=files)
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2), "utf-8")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a model folder; None where there is none that can be read."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def quick_problems(folder: Path, source_sha256: str) -> list[Problem]:
    """What is wrong with a model folder, without reading the files: only existence and sizes.

    Args:
        folder: A model folder; need not exist.
        source_sha256: Hash of the weights it should be made from.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return [Problem(folder / MANIFEST_NAME, "is missing or cannot be read")]
    if manifest.layout != LAYOUT or manifest.source_sha256 != source_sha256:
        return [Problem(folder / MANIFEST_NAME, "belongs to other weights or another version of agentkit")]
    return [
        problem for name, record in manifest.files.items() for problem in _size_problem(folder / name, record)
    ]


def _size_problem(path: Path, record: FileRecord) -> Iterator[Problem]:
    try:
        size = path.stat().st_size
    except OSError:
        yield Problem(path, "is missing")
        return
    if size != record.size:
        yield Problem(path, f"has {size:,} bytes instead of {record.size:,}")


def thorough_problems(folder: Path, source_sha256: str, progress: Progress | None = None) -> list[Problem]:
    """What is wrong with a model folder, every file hashed.

    Args:
        folder: A model folder; need not exist.
        source_sha256: Hash of the weights it should be made from.
        progress: Told of the bytes that are hashed.
    """
    problems = quick_problems(folder, source_sha256)
    manifest = read_manifest(folder)
    if problems or manifest is None:
        return problems
    bar = progress or Silent()
    with task(bar, f"Checking {folder.name}", sum(record.size for record in manifest.files.values())):
        for name, record in manifest.files.items():
            if sha256_of(folder / name, bar) != record.sha256:
                problems.append(Problem(folder / name, "has another content than when it was made"))
    return problems


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
