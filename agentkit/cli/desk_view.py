"""What people of a desk see: the queue, one conversation, and what a tool did."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from rich.table import Table
from rich.text import Text

from agentkit.agent.hand_off_desk import HandOffDesk, Line
from agentkit.cli.terminal import out
from agentkit.store.hand_off_records import HandOffRecord

SHORT_ID: Final = 8
"""So many letters name a hand-off: the end of an id is random."""

_BOT: Final = "bot"


def show_queue(queue: list[HandOffRecord], now: datetime) -> None:
    """The queue as a table."""
    if not queue:
        out.print(Text("Nobody waits.", style="dim"))
        return
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for name in ("", "id", "customer", "since", "unanswered", "with", "reason"):
        table.add_column(name)
    for number, record in enumerate(queue, 1):
        with_whom = Text(record.person + (" (idle)" if record.is_idle else ""))
        if record.status == "waiting":
            with_whom = Text("nobody", style="yellow")
        table.add_row(
            str(number),
            record.id[-SHORT_ID:],
            Text(record.user),
            _ago(now, record.created_at),
            str(record.waiting),
            with_whom,
            Text(_why(record)),
        )
    out.print(table)


def show_hand_off(desk: HandOffDesk, record: HandOffRecord) -> None:
    """Everything that a person needs to take over: facts first, then the whole conversation."""
    out.print(Text(f"{record.user}: {_why(record)}", style="bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_row("  id", Text(record.id, style="dim"))
    if record.priority:
        grid.add_row("  priority", str(record.priority))
    for line in record.summary.splitlines():
        grid.add_row("  summary", Text(line))
    for name, value in record.slots.items():
        grid.add_row(f"  {name}", Text(json.dumps(value, ensure_ascii=False)))
    out.print(grid)
    for said in desk.transcript(record):
        show_line(said, record)


def show_line(line: Line, record: HandOffRecord) -> None:
    """One line of a conversation."""
    style = "cyan" if line.speaker == record.user else "green" if line.speaker == _BOT else "magenta"
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_row(Text(f"  {line.speaker} ▸", style=f"bold {style}"), Text(line.text))
    out.print(grid)


def _why(record: HandOffRecord) -> str:
    wish = record.callback
    call = f"; call {wish.phone}{' ' + wish.when if wish.when else ''}" if wish is not None else ""
    return record.reason.replace("_", " ") + call


def _ago(now: datetime, then: datetime) -> str:
    minutes = int((now - then).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 60 // 24} days"
