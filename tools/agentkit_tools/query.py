"""Questions to a SQLite database or to CSV files, in SQL: read-only, and bounded in rows and time.

The database is opened read-only, and an authorizer lets through nothing but reading: no writing, no attaching of
files, no pragmas, none of the functions that reach outside. A query that runs too long is stopped from within.
"""

from __future__ import annotations

import csv
import re
import shutil
import sqlite3
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import sqlite_utils
from pydantic import Field
from sqlite_utils.utils import TypeTracker

from agentkit import StaticToolset, ToolContext, ToolFailed, ToolRetry, Toolset, tool

_ALLOWED: Final = frozenset(
    (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
)
# Functions that load code, touch files, or make values without end.
_REFUSED_FUNCTIONS: Final = frozenset(
    (
        "load_extension",
        "readfile",
        "writefile",
        "edit",
        "fts3_tokenizer",
        "zeroblob",
        "randomblob",
        "sqlite_log",
    )
)
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 10_000,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
}
_STEPS_PER_LOOK: Final = 10_000  # of the database's own machine, some 0.1 ms
_MOST_CELL: Final = 500
_SCHEMA: Final = (
    "SELECT name, sql FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
)


def query_tools(
    *,
    database: str | Path | None = None,
    csv_files: Sequence[str | Path] = (),
    rows: int = 100,
    seconds: float = 5.0,
    trusted: bool = False,
) -> Toolset:
    """`describe_data` and `query_data`, for one database or some CSV files.

    Args:
        database: A SQLite file.
        csv_files: CSV files with a line of column names, each a table called like its file; read again when they
            change.
        rows: Most rows of one answer.
        seconds: Longest time of one query.
        trusted: Whether what the data says is believed.

    Raises:
        ValueError: Neither or both are given.
    """
    if (database is None) == (not csv_files):
        raise ValueError("name either a `database` or `csv_files`")
    source = (
        _Database(Path(database)) if database is not None else _CsvFiles([Path(each) for each in csv_files])
    )

    @tool(effect="read", trusted=trusted)
    def describe_data(context: ToolContext) -> list[dict[str, str]]:
        """Say which tables there are, and how they were made."""
        with closing(_connected(source.path(), seconds, context.cancelled)) as connection:
            return [{"table": name, "made_by": sql} for name, sql in connection.execute(_SCHEMA).fetchall()]

    @tool(effect="read", trusted=trusted, timeout=seconds + 5)
    def query_data(
        context: ToolContext, sql: Annotated[str, Field(min_length=1, max_length=5000)]
    ) -> dict[str, Any]:
        """Ask the data a question in SQL; describe_data says which tables there are.

        Args:
            sql: One SELECT statement of SQLite.
        """
        try:
            with closing(_connected(source.path(), seconds, context.cancelled)) as connection:
                cursor = connection.execute(sql)
                if cursor.description is None:
                    raise ToolRetry("that is no question: write one SELECT statement")
                found = cursor.fetchmany(rows + 1)
        except (sqlite3.Error, sqlite3.Warning) as problem:
            raise _explained(problem, seconds) from problem
        columns = [column[0] for column in cursor.description]
        answer: dict[str, Any] = {
            "columns": columns,
            "rows": [[_cell(value) for value in row] for row in found[:rows]],
        }
        return answer | ({"more": f"only the first {rows} rows are here"} if len(found) > rows else {})

    return StaticToolset([describe_data, query_data])


def _connected(path: Path, seconds: float, cancelled: threading.Event) -> sqlite3.Connection:
    if not path.is_file():
        raise ToolFailed("the data is not there")
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end or cancelled.is_set(), _STEPS_PER_LOOK)
    connection.set_authorizer(_authorized)
    return connection


def _authorized(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action not in _ALLOWED:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _explained(problem: Exception, seconds: float) -> ToolRetry | ToolFailed:
    text = str(problem)
    if text == "interrupted":
        return ToolFailed(f"the query took longer than {seconds:g} seconds")
    if "not authorized" in text or "prohibited" in text:
        return ToolRetry(f"only reading is allowed ({text}): write one SELECT statement")
    return ToolRetry(f"the query does not work: {text}")


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    if isinstance(value, str) and len(value) > _MOST_CELL:
        return f"{value[:_MOST_CELL]}…"
    return value


class _Database:
    def __init__(self, path: Path) -> None:
        self._path = path

    def path(self) -> Path:
        return self._path


class _CsvFiles:
    """CSV files, copied into a SQLite file of their own that is made again when one of them changes."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._folder = Path(tempfile.mkdtemp(prefix="agentkit-csv-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._made: tuple[tuple[int, int], ...] = ()
        self._versions = 0
        self._lock = threading.Lock()

    def path(self) -> Path:
        with self._lock:
            try:
                now = tuple((each.stat().st_mtime_ns, each.stat().st_size) for each in self._files)
                if now != self._made:
                    self._versions += 1
                    self._make(self._current())
                    self._made = now
            except (OSError, UnicodeDecodeError, csv.Error) as problem:
                raise ToolFailed(f"the data cannot be read: {type(problem).__name__}") from problem
            return self._current()

    def _current(self) -> Path:
        return self._folder / f"{self._versions}.db"

    def _make(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            database = sqlite_utils.Database(connection)
            for file in self._files:
                tracker = TypeTracker()
                table = database.table(re.sub(r"\W+", "_", file.stem))
                table.insert_all(tracker.wrap(_rows(file)))
                if table.exists():
                    table.transform(types=tracker.types)
            connection.commit()


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        for row in csv.DictReader(opened):
            yield {str(name): value for name, value in row.items() if name is not None}
