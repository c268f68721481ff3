"""The tools: what a model may do with working hours."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from pydantic import Field

from agentkit import Authority, ToolContext, ToolFailed, ToolRetry, tool
from timesheet.store import Entry, entries_of, next_id, write, written_by

_MOST_HOURS = 24.0


@tool(effect="write", idempotent=True, sequential=True)
def log_hours(
    context: ToolContext,
    project: Annotated[str, Field(min_length=1, max_length=40)],
    hours: Annotated[float, Field(gt=0, le=_MOST_HOURS)],
    day: date | None = None,
) -> dict[str, str | float]:
    """Write down hours that the user worked.

    Args:
        project: What was worked on, as the user calls it.
        hours: How many hours; half an hour is 0.5.
        day: The day; today if the user names none.
    """
    if (entry := written_by(context)) is None:
        today = context.now().date()
        worked = day or today
        if worked > today:
            raise ToolRetry(f"{worked} lies in the future, today is {today}")
        same_day = sum(e["hours"] for e in entries_of(context).values() if e["day"] == worked.isoformat())
        if same_day + hours > _MOST_HOURS:
            raise ToolFailed(f"{worked} would have {same_day + hours:g} hours")
        entry = Entry(
            id=next_id(),
            tenant=context.tenant,
            user=context.user_id,
            project=project,
            day=worked.isoformat(),
            hours=hours,
            call=context.call_id,
            removed=False,
        )
        write(entry)
    return {"entry": entry["id"], "project": entry["project"], "day": entry["day"], "hours": entry["hours"]}


@tool(effect="read")
def list_hours(
    context: ToolContext, days: Annotated[int, Field(ge=1, le=366)] = 7
) -> dict[str, list[dict[str, str | float]] | float]:
    """List the hours that the user has written down lately, and their sum.

    Args:
        days: How many days back.
    """
    since = (context.now().date() - timedelta(days=days)).isoformat()
    found = [entry for entry in entries_of(context).values() if entry["day"] >= since]
    listed: list[dict[str, str | float]] = [
        {"entry": e["id"], "day": e["day"], "project": e["project"], "hours": e["hours"]} for e in found
    ]
    return {"entries": listed, "sum": sum(entry["hours"] for entry in found)}


@tool(effect="write", idempotent=True, sequential=True)
def remove_hours(
    context: ToolContext, entry: Annotated[str, Field(pattern=r"^E[1-9]\d*$"), Authority()]
) -> dict[str, str]:
    """Remove an entry that was written down by mistake.

    Args:
        entry: The id of the entry, such as E3.
    """
    entries = entries_of(context)
    if entry in entries:
        write({**entries[entry], "removed": True, "call": context.call_id})
    elif (before := written_by(context)) is None or before["id"] != entry:
        raise ToolFailed(f"there is no entry {entry}")
    return {"removed": entry}
