"""`agentkit desk`: people answer in the bot's place."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from agentkit.agent.hand_off_desk import HandOffDesk
from agentkit.agent.person_calls import CallToAgree
from agentkit.agent.turn import Settle
from agentkit.bot import open_bot
from agentkit.bot.desk import OpenDesk, open_desk
from agentkit.cli.arguments import arguments_of
from agentkit.cli.chat import ask_whether_done
from agentkit.cli.desk_session import DeskSession, agree_here, shown_call
from agentkit.cli.desk_view import show_hand_off, show_queue
from agentkit.cli.options import BotArgument, DatabaseOption, JsonOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.render import EventPrinter
from agentkit.cli.terminal import err, out
from agentkit.messages import ToolCall
from agentkit.store.hand_off_records import HandOffRecord


class _BotFirst(TyperGroup):
    """`desk BOT` is short for `desk work BOT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["work", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_BotFirst,
    help="Answer customers that the bot has handed over.\n\n"
    "agentkit desk BOT  opens the desk in this terminal; the commands do single steps of it.",
    no_args_is_help=True,
)


def _me() -> str:
    return getpass.getuser()


_IdArgument = Annotated[
    str, typer.Argument(help="Name of the customer, or the beginning or end of the hand-off's id.")
]
_ByOption = Annotated[
    str,
    typer.Option("--by", help="Your name: the customer sees it.", default_factory=_me, show_default="you"),
]
_NoteOption = Annotated[str, typer.Option("--note", help="For colleagues; the customer does not see it.")]


@app.command()
def work(bot: BotArgument, by: _ByOption, database: DatabaseOption = None) -> None:
    """Work at the desk: see who waits, take a conversation, answer, use tools, give it back."""
    with _opened(bot, database) as opened:
        DeskSession(opened, by).run()


@app.command("list")
def list_queue(bot: BotArgument, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Who waits for a person, or has one: the most urgent first."""
    with _opened(bot, database) as opened:
        queue = opened.desk.queue()
        if as_json:
            out.print_json(json.dumps([each.model_dump(mode="json") for each in queue]))
        else:
            show_queue(queue, datetime.now(UTC))


@app.command()
def show(
    bot: BotArgument, hand_off: _IdArgument, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """One conversation: why it was handed over, what is known, and everything that was said."""
    with _opened(bot, database) as opened:
        record = opened.desk.find(hand_off)
        if as_json:
            said = [{"speaker": line.speaker, "text": line.text} for line in opened.desk.transcript(record)]
            out.print_json(json.dumps({**record.model_dump(mode="json"), "transcript": said}))
        else:
            show_hand_off(opened.desk, record)


@app.command()
def take(
    bot: BotArgument,
    hand_off: _IdArgument,
    by: _ByOption,
    from_others: Annotated[
        bool, typer.Option("--from-others", help="Take it even from a colleague who has it.")
    ] = False,
    database: DatabaseOption = None,
) -> None:
    """Take a conversation over: from now on the bot is silent in it."""
    with _opened(bot, database) as opened:
        taken = opened.desk.take(opened.desk.find(hand_off), by=by, from_others=from_others)
        show_hand_off(opened.desk, taken)


@app.command()
def answer(
    bot: BotArgument,
    hand_off: _IdArgument,
    text: Annotated[str, typer.Argument(help="What you say to the customer.")],
    by: _ByOption,
    message_id: Annotated[
        str | None, typer.Option("--id", help="Name of this answer: sent again under it, it is said once.")
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Say something to the customer; takes the conversation if nobody has it."""
    with _opened(bot, database) as opened:
        record = _mine(opened.desk, hand_off, by)
        turn = opened.desk.answer(record, text, client_msg_id=message_id, settle=_settle())
        out.print(Text("said before" if turn is None else "said", style="dim"))


@app.command()
def call(
    bot: BotArgument,
    hand_off: _IdArgument,
    tool: Annotated[str, typer.Argument(help="Name of one of the bot's tools.")],
    by: _ByOption,
    arguments: Annotated[list[str] | None, typer.Argument(help="name=value, for each argument.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm a call that has an effect.")] = False,
    database: DatabaseOption = None,
) -> None:
    """Use one of the bot's tools for this customer; what it did is in the transcript, but not said.

    A call that has an effect needs your confirmation.
    """
    with _opened(bot, database) as opened:
        opened.desk.find(hand_off)  # before models are loaded
    loaded = open_bot(bot, database=database, progress=BarProgress(err))
    try:
        values = arguments_of(arguments or (), tool, loaded.tools.toolset.tools())
        wanted = ToolCall(id="", name=tool, arguments=values)
        record = _mine(loaded.agent.hand_offs, hand_off, by)
        printer = EventPrinter(out)
        for event in loaded.agent.call_as_person(
            record, wanted, _agreed_before if yes else agree_here, _settle()
        ):
            printer.event(event)
    finally:
        loaded.close()


@app.command("give-back")
def give_back(
    bot: BotArgument,
    hand_off: _IdArgument,
    by: _ByOption,
    note: _NoteOption = "",
    say: Annotated[
        str | None, typer.Option("--say", help="Last words to the customer instead of the bot's own.")
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Give a conversation back to the bot, which answers what you did not and goes on."""
    with _opened(bot, database) as opened:
        opened.desk.give_back(_mine(opened.desk, hand_off, by), note=note, say=say, settle=_settle())


@app.command()
def close(
    bot: BotArgument,
    hand_off: _IdArgument,
    by: _ByOption,
    note: _NoteOption = "",
    say: Annotated[str, typer.Option("--say", help="Last words to the customer.")] = "",
    database: DatabaseOption = None,
) -> None:
    """End a hand-off: it is done, the customer was called, or is gone."""
    with _opened(bot, database) as opened:
        opened.desk.close(_mine(opened.desk, hand_off, by), note=note, say=say, settle=_settle())


@contextmanager
def _opened(bot: Path, database: Path | None) -> Iterator[OpenDesk]:
    opened = open_desk(bot, database)
    try:
        yield opened
    finally:
        opened.close()


def _mine(desk: HandOffDesk, piece: str, by: str) -> HandOffRecord:
    record = desk.find(piece)
    has_it = record.status == "taken" and record.person == by
    return record if has_it else desk.take(record, by=by)


def _agreed_before(asked: CallToAgree) -> bool:
    """What `--yes` agrees to: nothing that may have been done already."""
    out.print(shown_call(asked))
    return not asked.in_doubt


def _settle() -> Settle | None:
    """Ask about a call that a desk died in, where somebody can be asked."""
    return ask_whether_done if sys.stdin.isatty() else None
