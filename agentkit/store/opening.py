"""From a path to a connection that can be trusted: every check is made before the first write.

A database that another program or a newer agentkit made is not touched: it is looked at through a read-only
connection, which moves nothing from the write-ahead log into the file.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from agentkit.errors import StoreCorrupt, StoreError, StoreTooNew
from agentkit.store import migrations
from agentkit.store.connection import Connection, WriteHook
from agentkit.store.driver import OLDEST_SQLITE, sqlite3
from agentkit.store.failures import damaged, read_only, translate
from agentkit.store.patience import patiently

_PRAGMAS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",  # nothing in the schema of a file may call a function with side effects
    "PRAGMA cell_size_check = ON",  # find damaged pages when they are read, not later
    "PRAGMA mmap_size = 0",  # with a mapped file an I/O error is a signal, not an error code
    "PRAGMA synchronous = FULL",  # in WAL mode: a commit is on the disk when it returns
    "PRAGMA fullfsync = ON",  # the same on macOS, where fsync alone does not reach the disk
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA journal_size_limit = 67108864",  # a write-ahead log that once grew is cut back to 64 MB
    "PRAGMA secure_delete = ON",  # what is deleted is overwritten, not only marked as free
)
_READER_PRAGMAS: Final = (*_PRAGMAS[1:4], "PRAGMA query_only = ON")
_STATEMENTS: Final = 1_000
"""Prepared statements that are kept. Those that make a new file fill the 128 of the driver, which then drops what came
last: in the process that made the file, each turn would prepare its statements again, which costs more than they do."""
_CHECK_SECONDS: Final = 0.1  # most time that a start spends on looking for damage
_CHECK_STEP: Final = 2_000  # instructions of SQLite between two looks at the clock
_OWN_PATIENCE: Final = "PRAGMA busy_timeout = 0"  # from here on `patience` waits for other writers


def open_connection(path: Path, *, busy_timeout: float, on_write: WriteHook | None) -> Connection:
    """Open or create an agentkit database and bring its schema up to date.

    Args:
        path: The file; missing folders above it are created.
        busy_timeout: Seconds to wait for another process's write.
        on_write: Hook of the crash tests.

    Raises:
        StoreCorrupt: The file is not a sound agentkit database; says what it is.
        StoreError: The path cannot be used, or this SQLite is too old.
        StoreLocked: Another process holds the file.
        StoreReadOnly: The file or its folder cannot be written.
        StoreTooNew: A newer agentkit wrote it; it is left as it is, byte for byte.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old: agentkit needs 3.37 or newer.",
            hint="Use a newer Python, or install pysqlite3 where it has a wheel.",
        )
    _prepare(path)
    _inspect(path, busy_timeout)
    connection = Connection(
        _connect(path, busy_timeout), _connect(path, busy_timeout), path, busy_timeout, on_write
    )
    with ExitStack() as when_it_fails:
        when_it_fails.callback(connection.close)
        _set_up(connection)
        connection.set_up_reader(_READER_PRAGMAS)
        _check_sound(connection)
        when_it_fails.pop_all()
    return connection


def _prepare(path: Path) -> None:
    """Make the folder and an empty file that only this user can read: conversations are private."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a database file.", hint=f"Try {path / 'agentkit.db'}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _not_created(path, problem) from problem
    try:
        # Only a file that is new is opened here: closing a file drops the locks of this process on it, also
        # those of SQLite (https://sqlite.org/howtocorrupt.html, section 2.2).
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise StoreError(
                f"{path} is a device, a pipe or a dangling link, not a file.", hint="Choose another path."
            ) from None
    except OSError as problem:
        raise _not_created(path, problem) from problem


def _not_created(path: Path, problem: OSError) -> StoreError:
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return read_only(path)
    is_file = problem.errno in (errno.EEXIST, errno.ENOTDIR)
    reason = "a folder above it is a file" if is_file else problem.strerror
    return StoreError(
        f"{path} cannot be created: {reason}.",
        hint="Check the folders above it, or choose another path.",
    )


def _inspect(path: Path, busy_timeout: float) -> None:
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(
            sqlite3.connect(address, uri=True, timeout=busy_timeout, isolation_level=None)
        ) as looking:
            _refuse_foreign(Database(looking, recursive_triggers=False, execute_plugins=False), path)
    except sqlite3.Error as error:
        raise translate(error, path) from error


def _refuse_foreign(database: Database, path: Path) -> None:
    owner = migrations.application_of(database)
    if owner != migrations.APPLICATION_ID and (owner != 0 or not migrations.is_empty(database)):
        raise StoreCorrupt(
            f"{path} is a SQLite database of another program, not of agentkit.",
            hint="Choose another path; the file was not changed.",
        )
    version = migrations.version_of(database)
    if owner == migrations.APPLICATION_ID and version > migrations.NEWEST_VERSION:
        raise StoreTooNew(
            f"{path} has schema version {version}; this agentkit knows {migrations.NEWEST_VERSION} at most.",
            hint="Upgrade agentkit, or choose another path; the file was not changed.",
        )


def _connect(path: Path, busy_timeout: float) -> Database:
    try:
        # Autocommit: transactions begin and end only where `Connection` says so. Threads share the connection
        # under its lock.
        raw = sqlite3.connect(
            str(path),
            timeout=busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
        )
    except sqlite3.Error as error:
        raise translate(error, path) from error
    raw.row_factory = sqlite3.Row
    return Database(raw, recursive_triggers=False, execute_plugins=False)


def _set_up(connection: Connection) -> None:
    database, path = connection.database, connection.path
    try:
        for pragma in _PRAGMAS:
            database.execute(pragma)
        _enable_wal(connection)
    except sqlite3.Error as error:
        raise translate(error, path) from error
    if migrations.version_of(database) < migrations.NEWEST_VERSION:
        with connection.writing("migrate"):
            _refuse_foreign(database, path)  # again, now that nobody else can change it
            migrations.apply(database)
    with connection.trying_to_write():
        migrations.mark(database)
        if problems := migrations.differences(database):
            raise StoreCorrupt(
                f"The schema of {path} is not the one that agentkit made: {'; '.join(problems)}.",
                hint="Something else changed the file; restore it from a backup.",
            )
    database.execute(_OWN_PATIENCE)


def _check_sound(connection: Connection) -> None:
    """Look for damaged pages: all of a small file, of a large one what there is time for at a start."""
    raw = connection.database.conn
    deadline = time.monotonic() + _CHECK_SECONDS
    raw.set_progress_handler(lambda: time.monotonic() > deadline, _CHECK_STEP)
    try:
        found = str(connection.database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        # Interrupted while it sets up the index of words, SQLite says that this failed.
        cut = "interrupted" in str(error) or ("vtable" in str(error) and time.monotonic() > deadline)
        if not cut:
            raise translate(error, connection.path) from error
        found = "ok"  # as far as there was time
    except sqlite3.Error as error:
        raise translate(error, connection.path) from error
    finally:
        raw.set_progress_handler(None, 0)
    if found != "ok":
        raise damaged(connection.path, found)


def _enable_wal(connection: Connection) -> None:
    """Switch to the write-ahead log; SQLite does not wait by itself when two processes do this at once."""
    database, path = connection.database, connection.path
    switch = "PRAGMA journal_mode = WAL"
    mode = patiently(lambda: database.execute(switch).fetchone()[0], connection.patience)
    if mode != "wal":
        raise StoreError(
            f"{path} is on a file system that cannot share memory between processes (journal mode {mode}).",
            hint="Put the database on a local disk, not on a network drive.",
        )
