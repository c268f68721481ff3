"""Waiting for other writers of the file, fairly.

SQLite waits by trying again after pauses that grow to a tenth of a second. A process that writes one transaction after
another leaves gaps of microseconds, and one that waits so seldom misses them all: it waits for as long as it has
patience, then fails. Here whoever waits tries every millisecond, and stands in front while it does: nobody begins
another transaction past it, since everybody takes that place first. The place is an advisory lock on the folder, which
leaves no file behind and ends with its process.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from sqlite_utils import Database

from agentkit.store.driver import sqlite3

if sys.platform != "win32":
    import fcntl

T = TypeVar("T")

_PAUSE: Final = 0.001  # seconds between two attempts, on average
_IN_FRONT: Final = (
    0.25  # most seconds to wait for the place: another program may have locked the folder for good
)


def begin_writing(database: Database, path: Path, seconds: float) -> None:
    """Begin a transaction that writes, after those that came before.

    IMMEDIATE takes the write lock first: a deferred transaction that reads and then writes fails at once, without
    waiting, when another process wrote in between.

    Args:
        database: In no transaction.
        path: Its file.
        seconds: How long to wait for others before the error of SQLite.
    """
    with in_front(path, min(seconds, _IN_FRONT)):
        patiently(lambda: database.conn.execute("BEGIN IMMEDIATE"), seconds)


def patiently(attempt: Callable[[], T], seconds: float) -> T:
    """What `attempt` returns; while somebody else holds the file, it is tried again for so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            _pause()


@contextmanager
def in_front(path: Path, seconds: float = _IN_FRONT) -> Iterator[None]:
    """A block in which nobody else begins to write, unless somebody is in such a block for longer than `seconds`.

    Args:
        path: The file that is written.
        seconds: How long to wait for the place.
    """
    place = _opened(path.parent)
    try:
        deadline = time.monotonic() + seconds
        while place is not None and not _taken(place) and time.monotonic() < deadline:
            _pause()
        yield
    finally:
        if place is not None:
            _give_back(place)


def _opened(folder: Path) -> int | None:
    """The folder, to be locked; None where that cannot be: then whoever tries at the right moment is next."""
    if sys.platform == "win32":
        return None
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:  # it may be used and not listed, or this process has all the files open that it may
        return None


def _taken(place: int) -> bool:
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a drive without such locks
        return True
    return True


def _give_back(place: int) -> None:
    with suppress(OSError):  # a drive without such locks
        # Closing is not enough: a process that was forked meanwhile has it open, too, and would keep the lock.
        fcntl.flock(place, fcntl.LOCK_UN)
    os.close(place)


def _pause() -> None:
    time.sleep(_PAUSE * random.uniform(0.5, 1.5))  # unequal, so that two do not try in step
