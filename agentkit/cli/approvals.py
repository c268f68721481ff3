"""`agentkit approvals`: calls that wait for a person."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.table import Table
from rich.text import Text

from agentkit.bot import Bot, open_bot
from agentkit.cli.arguments import arguments_of
from agentkit.cli.options import BotArgument, DatabaseOption, JsonOption, ModelOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.render import EventPrinter
from agentkit.cli.store import open_database
from agentkit.cli.terminal import err, out
from agentkit.errors import RecordNotFound
from agentkit.events import Event
from agentkit.store.protocol import ApprovalRecord

app = typer.Typer(help="Look at calls that wait for a person, and decide about them.", no_args_is_help=True)

Decision: TypeAlias = Callable[[Bot, ApprovalRecord], Iterator[Event]]
"""Makes a decision about a request."""

_IdArgument = Annotated[str, typer.Argument(help="Id of the request, or how it begins.")]
_ByOption = Annotated[str, typer.Option("--by", help="Who decides, for the record.")]


@app.command("list")
def list_approvals(bot: BotArgument, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Every call that waits, of all users, with its exact arguments and why it was stopped."""
    store = open_database(bot, database)
    try:
        waiting = store.waiting_approvals()
    finally:
        store.close()
    if as_json:
        out.print_json(json.dumps([each.model_dump(mode="json") for each in waiting]))
        return
    if not waiting:
        out.print(Text("Nothing waits.", style="dim"))
    for each in waiting:
        show(each)


def show(record: ApprovalRecord) -> None:
    """One request: who, what exactly, and why it was stopped."""
    out.print(Text(record.id, style="bold"), Text(f"{record.created_at:%Y-%m-%d %H:%M}", style="dim"))
    table = Table.grid(padding=(0, 2))
    table.add_row("  user", Text(record.user))
    table.add_row("  call", Text(f"{record.call.name}  [{record.effect}]"))
    for name, value in record.call.arguments.items():
        table.add_row("", Text(f"{name} = {json.dumps(value, ensure_ascii=False)}"))
    for reason in record.reasons:
        table.add_row(f"  {reason.rule}", Text(reason.text, style="yellow"))
    out.print(table)


@app.command()
def approve(
    bot: BotArgument,
    approval: _IdArgument,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="name=value: run it with this argument instead.")
    ] = None,
    reason: Annotated[str, typer.Option(help="What to note about it.")] = "",
    by: _ByOption = "operator",
    model: ModelOption = None,
    database: DatabaseOption = None,
) -> None:
    """Let a call run, as it is or with changed arguments, and go on with its turn."""

    def decide(opened: Bot, record: ApprovalRecord) -> Iterator[Event]:
        given = arguments_of(change or (), record.call.name, opened.tools.toolset.tools())
        return opened.agent.approvals.approve(
            record.id,
            user=record.user,
            tenant=record.tenant,
            by=by,
            answer=reason,
            arguments={**record.call.arguments, **given} if given else None,
        )

    _decide(bot, approval, model, database, decide)


@app.command()
def reject(
    bot: BotArgument,
    approval: _IdArgument,
    reason: Annotated[str, typer.Option(help="Why; the user is told.")] = "",
    by: _ByOption = "operator",
    model: ModelOption = None,
    database: DatabaseOption = None,
) -> None:
    """Do not let a call run, and go on with its turn."""

    def decide(opened: Bot, record: ApprovalRecord) -> Iterator[Event]:
        return opened.agent.approvals.reject(
            record.id, user=record.user, tenant=record.tenant, by=by, answer=reason
        )

    _decide(bot, approval, model, database, decide)


def _decide(
    folder: Path,
    approval: str,
    model: str | None,
    database: Path | None,
    decide: Decision,
) -> None:
    store = open_database(folder, database)
    try:
        record = _found(store.waiting_approvals(), approval)
    finally:
        store.close()
    bot = open_bot(folder, generator=model, database=database, progress=BarProgress(err))
    try:
        printer = EventPrinter(out)
        for event in decide(bot, record):
            printer.event(event)
    finally:
        bot.close()


def _found(waiting: list[ApprovalRecord], start: str) -> ApprovalRecord:
    found = [each for each in waiting if each.id.startswith(start)]
    if len(found) == 1:
        return found[0]
    problem = "more than one request begins like this" if found else "no request begins like this"
    raise RecordNotFound(
        f"{start!r}: {problem}, or it is answered already.",
        hint="`agentkit approvals list BOT` shows what waits.",
    )
