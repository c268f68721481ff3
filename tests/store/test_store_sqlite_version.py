"""Which versions of SQLite several processes may write with."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.store import driver
from agentkit.store.driver import sqlite_advice, sqlite_version_ok
from tests.store.process import SAY_SOMETHING, run
from tests.store.samples import open_store


@pytest.mark.parametrize(
    ("version", "ok"),
    [
        ("3.6.23", True),  # before the write-ahead log
        ("3.7.0", False),
        ("3.31.1", False),
        ("3.44.5", False),
        ("3.44.6", True),
        ("3.45.0", False),
        ("3.46.1", False),
        ("3.50.6", False),
        ("3.50.7", True),
        ("3.51.0", False),
        ("3.51.2", False),
        ("3.51.3", True),
        ("3.53.4", True),
        ("4.0.0", True),
    ],
)
def test_the_versions_with_the_wal_reset_bug_are_known(version: str, ok: bool) -> None:
    assert sqlite_version_ok(version) is ok


def test_the_advice_is_about_the_sqlite_in_use() -> None:
    advice = sqlite_advice()
    assert advice.version == driver.sqlite3.sqlite_version
    assert advice.module in ("pysqlite3", "sqlite3")
    assert advice.ok is sqlite_version_ok(advice.version)
    assert (advice.hint == "") is advice.ok


def test_the_advice_about_a_bad_version_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver.sqlite3, "sqlite_version", "3.46.1")
    advice = sqlite_advice()
    assert not advice.ok
    assert "3.46.1" in advice.message
    assert "one process" in advice.hint


def test_the_store_works_with_pythons_own_sqlite(tmp_path: Path) -> None:
    blocked = "import sys\nsys.modules['pysqlite3'] = None\n"
    said = run(f"{blocked}{SAY_SOMETHING}\nsay_something(sys.argv[1])", tmp_path)
    assert said == "stored"
    with open_store(tmp_path) as store:
        assert store.problems() == []
