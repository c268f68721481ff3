"""Where entries are kept: one JSON object a line, never changed, only added to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from agentkit import ToolContext


class Entry(TypedDict):
    """Hours of one user on one day; `removed` marks that an earlier entry with this id no longer counts."""

    id: str
    tenant: str
    user: str
    project: str
    day: str
    hours: float
    call: str
    removed: bool


def entries_of(context: ToolContext) -> dict[str, Entry]:
    """The entries of the user of a call by their ids, oldest first, without those that were removed."""
    found: dict[str, Entry] = {}
    for entry in _all():
        if (entry["tenant"], entry["user"]) != (context.tenant, context.user_id):
            continue
        if entry["removed"]:
            found.pop(entry["id"], None)
        else:
            found[entry["id"]] = entry
    return found


def written_by(context: ToolContext) -> Entry | None:
    """What this very call wrote before a crash, if it did."""
    whose = (context.tenant, context.user_id, context.call_id)
    return next((entry for entry in _all() if (entry["tenant"], entry["user"], entry["call"]) == whose), None)


def write(entry: Entry) -> None:
    """Add an entry, durably."""
    with _file().open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def next_id() -> str:
    """The id of the next entry: E1, E2 …"""
    return f"E{sum(not entry['removed'] for entry in _all()) + 1}"


def _file() -> Path:
    return Path(os.environ.get("TIMESHEET_FILE", "timesheet.jsonl"))


def _all() -> Iterable[Entry]:
    if not _file().is_file():
        return []
    lines = _file().read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
