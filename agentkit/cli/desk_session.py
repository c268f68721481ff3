"""One person at the desk, in a terminal: the queue, one conversation, and what the customer writes meanwhile."""

from __future__ import annotations

import contextlib
import shlex
import sys
import threading
from datetime import UTC, datetime
from typing import Final

from rich.table import Table
from rich.text import Text

from agentkit.agent.hand_off_desk import Line
from agentkit.agent.person_calls import CallToAgree
from agentkit.bot import Bot, open_bot
from agentkit.bot.desk import OpenDesk
from agentkit.cli.arguments import arguments_of
from agentkit.cli.chat import ask_whether_done
from agentkit.cli.desk_view import SHORT_ID, show_hand_off, show_line, show_queue
from agentkit.cli.live_prompt import LivePrompt, Watcher
from agentkit.cli.progress import BarProgress
from agentkit.cli.render import EventPrinter
from agentkit.cli.terminal import err, out, show_error
from agentkit.errors import AgentKitError, RecordNotFound
from agentkit.messages import ToolCall
from agentkit.store.hand_off_records import HandOffRecord

_HELP: Final = """\
/list              who waits
/take N            take a conversation over: its number in the list, its id or the customer's name
/show              the whole conversation again
/tools             what tools the bot has
/call TOOL a=1     use one for this customer; you are asked before it changes anything
/back NOTE         give the conversation back to the bot; the note is for colleagues
/close NOTE        it is done, or the customer is gone
/leave             put it down without ending it: it stays yours
/quit              end (Ctrl-D does, too)
Anything else is said to the customer."""


def shown_call(asked: CallToAgree) -> Text:
    """What a person is asked to confirm, with its exact arguments."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in asked.call.arguments.items())
    text = Text(f"  {asked.call.name}({arguments})  [{asked.effect}]", style="yellow")
    for reason in asked.reasons:
        text.append(f"\n  {reason.rule}: {reason.text}")
    if asked.in_doubt:
        text.append("\n  This call was made before, and nobody knows whether it took effect: find out first.")
    return text


class DeskSession:
    """What one person does at the desk until they leave.

    Args:
        opened: The desk.
        by: Who works here.
    """

    def __init__(self, opened: OpenDesk, by: str) -> None:
        self._opened = opened
        self._desk = opened.desk
        self._by = by
        self._record: HandOffRecord | None = None
        self._seen = 0  # lines of the conversation that were shown
        self._known: set[str] = set()  # hand-offs that were announced
        self._prompt = LivePrompt()
        self._looking = threading.Lock()
        self._bot: Bot | None = None

    def run(self) -> None:
        """Read what the person types until the input ends."""
        out.print(
            Text(
                f"The desk of {self._opened.config.name}; you are {self._by}. /help shows what you can type."
            )
        )
        self._list()
        watcher = Watcher(self._look)
        watcher.start()
        try:
            while True:
                try:
                    line = self._prompt.read(self._label()).strip()
                except (EOFError, KeyboardInterrupt):
                    out.print()
                    break
                if line == "/quit":
                    break
                try:
                    with self._looking:
                        self._do(line)
                except AgentKitError as error:
                    show_error(error)
        finally:
            watcher.stop()
            if self._bot is not None:
                self._bot.close()

    def _label(self) -> str:
        return f"{self._record.user} ◂ " if self._record is not None else "desk ▸ "

    def _do(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word:
            case "":
                return
            case "/help":
                out.print(_HELP, markup=False)
            case "/list":
                self._list()
            case "/take":
                self._take(rest)
            case "/tools":
                self._tools()
            case "/show" | "/call" | "/back" | "/close" | "/leave":
                self._do_in(self._current(), word, rest)
            case _ if word.startswith("/"):
                out.print(Text(f"{word} is no command; /help shows them.", style="yellow"))
            case _:
                record = self._current()
                self._desk.answer(record, line, settle=ask_whether_done)
                self._seen = len(self._desk.transcript(record))

    def _do_in(self, record: HandOffRecord, word: str, rest: str) -> None:
        match word:
            case "/show":
                show_hand_off(self._desk, self._desk.again(record))
            case "/call":
                self._call(record, rest)
            case "/back":
                self._desk.give_back(record, note=rest, settle=ask_whether_done)
                self._put_down(f"{record.user} is with the bot again.")
            case "/close":
                self._desk.close(record, note=rest, settle=ask_whether_done)
                self._put_down(f"Done with {record.user}.")
            case _:
                self._put_down(f"{record.user} stays yours: /take {record.id[-SHORT_ID:]} goes on.")

    def _current(self) -> HandOffRecord:
        if self._record is None:
            raise RecordNotFound("You have no conversation.", hint="/take 1 takes the first one of the list.")
        return self._record

    def _put_down(self, words: str) -> None:
        self._record = None
        out.print(Text(words, style="dim"))

    def _list(self) -> None:
        queue = self._desk.queue()
        self._known |= {each.id for each in queue}
        show_queue(queue, datetime.now(UTC))

    def _take(self, which: str) -> None:
        queue = self._desk.queue()
        if which.isdecimal() and 1 <= int(which) <= len(queue) and len(which) < SHORT_ID:
            record = queue[int(which) - 1]
        else:
            record = self._desk.find(which)
        self._record = self._desk.take(record, by=self._by)
        show_hand_off(self._desk, self._record)
        self._seen = len(self._desk.transcript(self._record))

    def _call(self, record: HandOffRecord, typed: str) -> None:
        try:
            name, *values = shlex.split(typed)
        except ValueError:
            out.print(Text("Write /call TOOL name=value; quote values with spaces.", style="yellow"))
            return
        bot = self._loaded()
        arguments = arguments_of(values, name, bot.tools.toolset.tools())
        call = ToolCall(id="", name=name, arguments=arguments)
        printer = EventPrinter(out)
        for event in bot.agent.call_as_person(record, call, agree_here, ask_whether_done):
            printer.event(event)
        self._seen = len(self._desk.transcript(record))

    def _tools(self) -> None:
        table = Table(box=None, padding=(0, 2), show_header=False)
        for tool in self._loaded().tools.toolset.tools():
            names = ", ".join(tool.spec.parameters.get("properties", {}))
            table.add_row(
                tool.name, f"[{tool.effect}]", Text(names, style="dim"), Text(tool.spec.description)
            )
        out.print(table)

    def _loaded(self) -> Bot:
        """The bot, with its tools; loaded when a tool is first needed."""
        if self._bot is None:
            self._bot = open_bot(
                self._opened.folder, database=self._opened.store.path, progress=BarProgress(err)
            )
        return self._bot

    def _look(self) -> None:
        """See what is new: what the customer wrote, or who came into the queue."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            with contextlib.suppress(RecordNotFound):
                if self._record is not None:
                    self._look_at(self._record)
            new = [each for each in self._desk.queue() if each.id not in self._known]
            self._known |= {each.id for each in new}
            if new:
                self._prompt.above(lambda: _announce(new))
        except AgentKitError as error:  # the database is busy, say: look again
            err.print(Text(error.message, style="dim"))
        finally:
            self._looking.release()

    def _look_at(self, record: HandOffRecord) -> None:
        lines = self._desk.transcript(record)
        if new := lines[self._seen :]:
            self._seen = len(lines)
            self._prompt.above(lambda: _show_lines(new, record))
        now = self._desk.again(record)
        if now.fence != record.fence or now.status != "taken":
            self._record = None
            what = f"is with {now.person}" if now.is_active else now.status.replace("_", " ")
            text = Text(f"{record.user}: the conversation {what} now.", style="yellow")
            self._prompt.above(lambda: out.print(text))


def agree_here(asked: CallToAgree) -> bool:
    """Ask the person at this terminal; where there is none, nobody agrees."""
    out.print(shown_call(asked))
    return sys.stdin.isatty() and input("do it? yes / no ▸ ").strip().casefold() in ("yes", "y")


def _announce(records: list[HandOffRecord]) -> None:
    for each in records:
        reason = each.reason.replace("_", " ")
        out.print(
            Text(f"{each.user} waits for a person ({reason}): /take {each.id[-SHORT_ID:]}", style="yellow")
        )


def _show_lines(lines: list[Line], record: HandOffRecord) -> None:
    for line in lines:
        show_line(line, record)
