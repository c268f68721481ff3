"""`agentkit trust`: why a call was allowed or stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agentkit.cli.options import BotArgument, DatabaseOption, UserOption
from agentkit.cli.store import open_database
from agentkit.cli.terminal import out
from agentkit.errors import RecordNotFound
from agentkit.events import ApprovalAnswered, CallChecked, CallRefused, Event
from agentkit.messages import ToolCall
from agentkit.store.protocol import ApprovalRecord, UserStore

app = typer.Typer(help="See why calls were allowed or stopped.", no_args_is_help=True)


@app.command()
def explain(
    bot: BotArgument,
    turn: Annotated[str, typer.Argument(help="Id of a turn, or `last`.")] = "last",
    user: UserOption = "guest",
    database: DatabaseOption = None,
) -> None:
    """Every call of a turn: where its arguments came from, which rule stopped it, who decided."""
    opened = open_database(bot, database)
    try:
        store = opened.for_user("default", user)
        turn_id = _last_turn(store) if turn == "last" else turn
        events, approvals = store.events(turn_id), store.approvals(turn_id)
    finally:
        opened.close()
    shown = _show_events(events)
    waiting = [each for each in approvals if each.status == "waiting"]
    for each in waiting:
        _show_waiting(each)
    if not shown and not waiting:
        out.print(Text(f"No call was made in turn {turn_id}.", style="dim"))


def _last_turn(store: UserStore) -> str:
    conversation = store.latest_conversation()
    turns = store.turns(conversation) if conversation else []
    if not turns:
        raise RecordNotFound(f"User {store.user!r} has no turn yet.", hint="Name another one with --user.")
    return turns[-1].id


def _show_events(events: Iterable[Event]) -> int:
    shown = 0
    for event in events:
        match event:
            case CallChecked(call=call, reasons=reasons):
                out.print(Text(_written(call), style="bold"), Text(f"[{event.effect}]", style="dim"))
                table = Table.grid(padding=(0, 2))
                for each in event.origins:
                    table.add_row(f"  {each.argument}", Text(f"from {each.origin}", style="dim"))
                for reason in reasons:
                    table.add_row(f"  {reason.rule}", Text(reason.text, style="yellow"))
                table.add_row("  allowed" if not reasons else "  a person was asked", "")
                out.print(table)
            case ApprovalAnswered():
                said = f": {event.reason}" if event.reason else ""
                out.print(Text(f"  {event.decision} by {event.by}{said}", style="yellow"))
            case CallRefused(call=call):
                out.print(Text(_written(call), style="bold"))
                out.print(Text(f"  refused by the rule {event.rule}: {event.reason}", style="yellow"))
            case _:
                continue
        shown += 1
    return shown


def _show_waiting(record: ApprovalRecord) -> None:
    out.print(Text(_written(record.call), style="bold"), Text(f"[{record.effect}]", style="dim"))
    for reason in record.reasons:
        out.print(Text(f"  {reason.rule}: {reason.text}", style="yellow"))
    out.print(
        Text(f"  waits for a person since {record.created_at:%Y-%m-%d %H:%M}: {record.id}", style="yellow")
    )


def _written(call: ToolCall) -> str:
    arguments = ", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in call.arguments.items())
    return f"{call.name}({arguments})"
