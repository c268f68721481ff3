"""What code does to the world while it runs, seen through Python's audit events.

Files opened for writing, moved or removed, databases opened for writing, processes started, connections made.
Not seen: what C code does without telling Python, and threads that the code starts itself.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES: Final = frozenset(
    ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown")
) | {"os.truncate", "shutil.rmtree", "shutil.move", "shutil.copyfile"}
_PROCESSES: Final = frozenset(("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"))
_SENDING: Final = frozenset(("socket.connect", "socket.sendto", "socket.sendmsg"))


@dataclass
class Effects:
    """What was seen, each as a short text.

    Args:
        changes: Files, folders and databases that were written, moved or removed.
        processes: Processes that were started.
        connections: Addresses that something was sent to.
    """

    changes: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)


_watching: contextvars.ContextVar[Effects | None] = contextvars.ContextVar("agentkit_effects", default=None)
_installed: list[bool] = []


@contextlib.contextmanager
def watched() -> Iterator[Effects]:
    """Watch the block and the tool calls in it."""
    if not _installed:
        sys.addaudithook(_note)  # for good: Python has no way to take one out again
        _installed.append(True)
    effects = Effects()
    token = _watching.set(effects)
    try:
        yield effects
    finally:
        _watching.reset(token)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    effects = _watching.get()
    if effects is None:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITING and not _is_cache(path):
            effects.changes.append(f"writes {path}")
    elif event == "sqlite3.connect":
        place = str(arguments[0])
        if place != ":memory:" and "mode=ro" not in place and "mode=memory" not in place:
            effects.changes.append(f"opens the database {place} for writing")
    elif event in _CHANGES:
        if not _is_cache(arguments[0]):
            effects.changes.append(f"{event}({arguments[0]})")
    elif event in _PROCESSES:
        effects.processes.append(f"{event}({arguments[0] if arguments else ''})")
    elif event in _SENDING:
        effects.connections.append(str(arguments[1]))


def _is_cache(path: object) -> bool:
    """Whether Python itself writes there: compiled modules."""
    return "__pycache__" in str(path)
