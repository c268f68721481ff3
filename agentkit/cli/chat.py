"""`agentkit chat`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.text import Text

from agentkit.bot import Bot, open_bot
from agentkit.cli.approvals import show as show_approval
from agentkit.cli.live_prompt import Watcher
from agentkit.cli.people import People
from agentkit.cli.progress import BarProgress
from agentkit.cli.render import EventPrinter
from agentkit.cli.terminal import err, out, show_error
from agentkit.errors import RequestError
from agentkit.events import Event
from agentkit.store.protocol import ApprovalRecord, JournalRow

_ANSWERS: Final[dict[str, bool | None]] = {"done": True, "not done": False, "unknown": None}
_HELP: Final = """\
/new      start a new conversation (memories carry over)
/back     take back the last exchange: go on from the one before, in a new conversation
/steps    show or hide what happens between question and reply
/memory   show what is remembered of you
/bot      do not wait for a person any longer: go on with the bot
/quit     end (Ctrl-D does, too)"""


def chat(
    folder: Path, *, user: str, model: str | None, database: Path | None, new: bool, steps: bool
) -> None:
    """Open a bot and talk until the user leaves."""
    bot = open_bot(folder, generator=model, database=database, progress=BarProgress(err))
    try:
        for reply in bot.agent.resume(ask_whether_done if sys.stdin.isatty() else None):
            out.print(Text(f"A turn that was cut off is finished now: {reply.text}", style="yellow"))
        store = bot.agent.store.for_user("default", user)
        conversation = None if new else store.latest_conversation()
        converse(bot, user, conversation or bot.agent.new_conversation(user=user), steps=steps)
    finally:
        bot.close()


def converse(bot: Bot, user: str, conversation: str, *, steps: bool) -> None:
    """Read messages and answer them until the input ends.

    Args:
        bot: An open bot.
        user: Who is signed in.
        conversation: The conversation to go on with.
        steps: Whether inner steps are shown.
    """
    with contextlib.ExitStack() as ending:
        people = People(bot, user, conversation)
        if sys.stdin.isatty():
            watcher = Watcher(people.look)
            watcher.start()
            ending.callback(watcher.stop)
        _converse(bot, user, people, steps=steps)


def _converse(bot: Bot, user: str, people: People, *, steps: bool) -> None:
    interactive = sys.stdin.isatty()
    if interactive:
        out.print(
            Text(f"{bot.config.name}, signed in as {user}. /help shows what you can type.", style="dim")
        )
        bot.warm_up()  # while the person types
    while True:
        try:
            line = people.prompt.read("you ▸ ") if interactive else _read_line()
        except EOFError:
            break
        except KeyboardInterrupt:
            out.print()
            break
        match line.strip():
            case "":
                continue
            case "/quit" | "/exit":
                break
            case "/help":
                out.print(_HELP, markup=False)
            case "/new":
                people.go_to(bot.agent.new_conversation(user=user))
                out.print(Text("A new conversation.", style="dim"))
            case "/back":
                people.go_to(_before_the_last_turn(bot, user, people.conversation))
                out.print(
                    Text("A new conversation that goes on from before; the old one is kept.", style="dim")
                )
            case "/steps":
                steps = not steps
                out.print(Text(f"Inner steps are {'shown' if steps else 'hidden'}.", style="dim"))
            case "/memory":
                for record in bot.agent.store.for_user("default", user).memories("fact"):
                    out.print(Text(f"  {record.created_at:%Y-%m-%d}  {record.text}"))
            case "/bot":
                people.withdraw(EventPrinter(out, steps=steps))
            case _:
                with people.talking():
                    _answer(bot, user, people.conversation, line, EventPrinter(out, steps=steps))


def _before_the_last_turn(bot: Bot, user: str, conversation: str) -> str:
    turns = bot.agent.store.for_user("default", user).turns(conversation, last=2)
    if len(turns) < 2:
        return bot.agent.new_conversation(user=user)
    return bot.agent.fork(turns[0].id, user=user)


def ask_whether_done(row: JournalRow) -> bool | None:
    """Let a person say whether a call was done that a crash cut off."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in row.call.arguments.items())
    out.print(Text(f"{row.call.name}({arguments}) was running when agentkit was cut off.", style="yellow"))
    while True:
        try:
            answer = input("Was it done? done | not done | unknown ▸ ").strip().casefold()
        except EOFError:
            return None
        if answer in _ANSWERS:
            return _ANSWERS[answer]


def _read_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _answer(bot: Bot, user: str, conversation: str, text: str, printer: EventPrinter) -> None:
    try:
        _follow(bot.agent.stream(text, user=user, conversation=conversation), printer)
        while waiting := bot.agent.approvals.waiting(user=user, tenant="default"):
            record = waiting[0]
            if sys.stdin.isatty() and (answer := _decision(record)) is not None:
                agreed, said = answer
                decide = bot.agent.approvals.approve if agreed else bot.agent.approvals.reject
                _follow(decide(record.id, user=user, answer=said, shown=record.hash), printer)
            else:
                hint = f"agentkit approvals approve|reject {bot.folder} {record.id}"
                out.print(Text(f"  Waits for a person: {hint}", style="yellow"))
                break
    except KeyboardInterrupt:
        out.print(Text("  stopped; the message is stored", style="yellow"))
    except RequestError as error:
        show_error(error)


def _follow(events: Iterator[Event], printer: EventPrinter) -> None:
    for event in events:
        printer.event(event)


def _decision(record: ApprovalRecord) -> tuple[bool, str] | None:
    """Ask the person at the terminal; None: they do not decide now."""
    show_approval(record)
    try:
        line = input("agree? yes / no [why] / later ▸ ").strip()
    except EOFError:
        return None
    word, _, said = line.partition(" ")
    if word.casefold() in ("yes", "y"):
        return True, said
    return (False, said) if word.casefold() in ("no", "n") else None
