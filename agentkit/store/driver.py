"""Which SQLite is in use, and whether its version can be trusted with several writing processes.

sqlite-utils takes `pysqlite3`, which brings a current SQLite, where it is installed, and Python's own
`sqlite3` elsewhere. The store uses the module that it chose: errors and rows of the two are not the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentkit.messages import Value

if TYPE_CHECKING:
    import sqlite3
else:
    from sqlite_utils.utils import sqlite3

__all__ = ["OLDEST_SQLITE", "SqliteAdvice", "sqlite3", "sqlite_advice", "sqlite_version_ok"]

OLDEST_SQLITE: Final = (3, 37, 0)
"""The oldest SQLite that can hold an agentkit database: it brought STRICT tables (November 2021)."""

# The WAL-reset bug, https://sqlite.org/wal.html#walresetbug: when two connections write or checkpoint at the
# same moment, a checkpoint can skip a transaction and corrupt the file.
_FIRST_WITH_WAL: Final = (3, 7, 0)
_FIXED: Final = (3, 51, 3)
_FIXED_IN_BRANCHES: Final = ((3, 50, 7), (3, 44, 6))


class SqliteAdvice(Value):
    """What `doctor` says about SQLite.

    Args:
        version: The version in use, for example `3.53.4`.
        module: The Python module that brings it, `pysqlite3` or `sqlite3`.
        ok: Whether several processes may write to one database.
        message: One sentence about it.
        hint: What to do; empty when it is ok.
    """

    version: str
    module: str
    ok: bool
    message: str
    hint: str = ""


def sqlite_version_ok(version: str) -> bool:
    """Whether this version of SQLite can be trusted with several processes that write.

    Args:
        version: Three numbers joined by dots.
    """
    numbers = tuple(int(part) for part in version.split("."))
    in_mended_branch = any(numbers[:2] == fixed[:2] and numbers >= fixed for fixed in _FIXED_IN_BRANCHES)
    return numbers < _FIRST_WITH_WAL or numbers >= _FIXED or in_mended_branch


def sqlite_advice() -> SqliteAdvice:
    """What there is to say about the SQLite in use."""
    version, module = sqlite3.sqlite_version, sqlite3.__name__.partition(".")[0]
    if sqlite_version_ok(version):
        message = f"SQLite {version} ({module}): several processes may write to one database."
        return SqliteAdvice(version=version, module=module, ok=True, message=message)
    return SqliteAdvice(
        version=version,
        module=module,
        ok=False,
        message=f"SQLite {version} ({module}) can corrupt a database that several processes write to.",
        hint="Let one process alone use a database, or install pysqlite3 or a Python with SQLite 3.51.3.",
    )
