"""What is older than it may be is erased, by kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentkit.messages import user
from agentkit.store.erasure_records import Retention
from agentkit.store.sqlite_store import SqliteStore
from tests.store.test_store_erasure import everything, raw, whole_turn


class Days:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store with a turn of ada on day 0 and on day 100; it is day 120."""
    clock = Days()
    with SqliteStore.open(tmp_path / "agentkit.db", clock=clock) as store:
        ada = store.for_user("shop", "ada")
        for day in (0, 100):
            clock.now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
            whole_turn(ada, ada.new_conversation(f"day-{day:04}-title"), f"secret-of-day-{day:04}", "")
            ada.save_file(f"a file of day {day:04}".encode(), name=f"{day}.txt", media_type="text/plain")
        clock.now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=120)
        yield store


@pytest.mark.parametrize(
    ("retention", "gone"),
    [
        (Retention(), {}),
        (Retention(conversations=200, events=200, messages=200, facts=200), {}),
        (Retention(conversations=50), {"conversations": 1, "turns": 1, "steps": 2, "calls": 1, "events": 2}),
        (Retention(events=50), {"events": 2}),
        (Retention(events=0), {"events": 4}),
        (Retention(messages=50), {"messages": 1}),
        (Retention(facts=50, messages=0), {"facts": 1, "messages": 2}),
        (Retention(files=50), {"files": 1}),
    ],
)
def test_what_is_too_old_is_erased_by_kind_and_a_dry_run_says_so_before(
    aged: SqliteStore, tmp_path: Path, retention: Retention, gone: dict[str, int]
) -> None:
    before = everything(aged.for_user("shop", "ada"))
    expected = aged.expired(retention)
    assert {kind: count for kind, count in expected.model_dump().items() if count} == gone
    assert everything(aged.for_user("shop", "ada")) == before
    receipt = aged.expire(retention)
    assert receipt.erased == expected
    assert receipt.remnants == ()
    assert not any(aged.expired(retention).model_dump().values())
    if retention == Retention(files=50):
        assert b"file of day 0000" not in raw(tmp_path)
    if retention == Retention(conversations=50):
        assert b"day-0000-title" not in raw(tmp_path)
        assert b"day-0100-title" in raw(tmp_path)


def test_an_open_turn_does_not_expire(tmp_path: Path) -> None:
    clock = Days()
    with SqliteStore.open(tmp_path / "agentkit.db", clock=clock) as store:
        ada = store.for_user("shop", "ada")
        ada.begin_turn(ada.new_conversation(), user("hello"))
        clock.now += timedelta(days=1000)
        assert store.expire(Retention(conversations=1)).erased.conversations == 0
