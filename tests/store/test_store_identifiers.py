"""Ids sort by the time they were made and never repeat."""

from __future__ import annotations

import threading
import time
from datetime import UTC
from uuid import UUID

import pytest

from agentkit.store.identifiers import UuidSevens, new_id, utc_now


def test_an_id_is_a_uuid_of_version_7_with_the_present_time() -> None:
    value = UUID(new_id())
    assert (value.version, value.variant) == (7, "specified in RFC 4122")
    assert abs((value.int >> 80) / 1000 - time.time()) < 2


def test_ids_of_one_process_are_in_order() -> None:
    ids = [new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))


def test_ids_of_several_threads_never_repeat() -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend([new_id() for _ in range(2_000)])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16_000


def test_ids_stay_in_order_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = UuidSevens()
    before = ids()
    present = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: present - 3_600 * 10**9)
    assert before < ids() < ids()


def test_the_clock_is_in_utc() -> None:
    assert utc_now().tzinfo is UTC
