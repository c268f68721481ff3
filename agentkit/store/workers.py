"""Who holds a lease: a name for this process, and whether the process of a name is gone.

A lease ends by itself after its seconds. That a process was killed is known at once where the operating system tells:
then nobody has to wait. The name holds what the process is told apart by: the boot of the machine, the process
namespace (containers), the process number and when it was started. Where any of this is not known, only time decides.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_UNKNOWN: Final = "-"


def this_worker() -> str:
    """The name of this process."""
    pid = os.getpid()
    return "/".join((_boot(), _namespace(), str(pid), _started(pid)))


def is_gone(worker: str) -> bool:
    """Whether the process of a name has certainly ended: False where that cannot be known.

    Args:
        worker: What `this_worker` gave there.
    """
    boot, namespace, pid, started = worker.split("/")
    if _UNKNOWN in (boot, _boot()):
        return False
    if boot != _boot():
        return True  # the machine was started anew since
    if namespace != _namespace():
        return False
    return _started(int(pid)) != started


def _boot() -> str:
    return _text_of(Path("/proc/sys/kernel/random/boot_id")) if sys.platform == "linux" else _UNKNOWN


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return _UNKNOWN


def _started(pid: int) -> str:
    """When a process was started, in ticks since the boot; of one that has ended, `-`."""
    # The second field is the name of the program in brackets; it may hold spaces and brackets itself.
    fields = _text_of(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):  # ended, and its parent has not looked yet
        return _UNKNOWN
    return fields[19]


def _text_of(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return _UNKNOWN
