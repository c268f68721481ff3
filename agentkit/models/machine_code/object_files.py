"""Compiled code, kept on disk: a later process neither compiles nor loads the compiler's passes (some 30 MB).

A file is an aid and nothing more: one that is damaged is thrown away with a line in the log and made again, and a disk
that is full or read-only costs time only. Its name depends on all that the code depends on.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

_FORMAT: Final = "1"
_DIGEST: Final = 32
"""Bytes before the code: its SHA-256."""

_log = logging.getLogger("agentkit.models")


def object_code(folder: Path, depends_on: str, compile_it: Callable[[], bytes]) -> bytes:
    """Object code from the folder, or compiled and put there.

    Args:
        folder: Where the files lie; made when the first is written.
        depends_on: Everything that the code depends on: its text, the processor, the compiler's version.
        compile_it: Makes it.
    """
    path = folder / f"{hashlib.sha256(f'{_FORMAT} {depends_on}'.encode()).hexdigest()[:32]}.o"
    try:
        kept = path.read_bytes()
    except OSError:
        kept = None
    if kept is not None:
        if len(kept) > _DIGEST and hashlib.sha256(kept[_DIGEST:]).digest() == kept[:_DIGEST]:
            return kept[_DIGEST:]
        _log.warning("%s is damaged; it is made again.", path)
    code = compile_it()
    fresh = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            fresh.write_bytes(hashlib.sha256(code).digest() + code)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("The machine code could not be kept in %s: %s", path, error)
    return code
