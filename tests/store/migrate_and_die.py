"""Opens a database and kills itself, with SIGKILL, at a statement of its migration: `migrate_and_die.py JOBS`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, TypedDict

from sqlite_utils import Database

from agentkit.store import opening
from agentkit.store.sqlite_store import SqliteStore
from tests.forks import done_in_forks


class Job(TypedDict):
    """Which database to open, and before which write statement to die; -1: before none."""

    path: str
    kill_at: int


class DyingDatabase(Database):
    """Counts the statements that it runs."""

    kill_at = -1
    run = 0

    def execute(self, sql: str, *arguments: Any, **settings: Any) -> Any:
        if DyingDatabase.run == DyingDatabase.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        DyingDatabase.run += 1
        return super().execute(sql, *arguments, **settings)


def migrate(job: Job) -> int:
    """Open the database of a job; how many statements that took, if the process lives."""
    DyingDatabase.kill_at, DyingDatabase.run = job["kill_at"], 0
    original, opening.Database = opening.Database, DyingDatabase  # type: ignore[attr-defined]
    try:
        SqliteStore.open(Path(job["path"])).close()
    finally:
        opening.Database = original  # type: ignore[attr-defined]
    return DyingDatabase.run


def main() -> None:
    """Do each job in a fork of this process and print how they ended."""
    print(json.dumps(done_in_forks(json.loads(Path(sys.argv[1]).read_text()), migrate)))


if __name__ == "__main__":
    main()
