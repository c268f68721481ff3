"""The people who answer in a chat: what they say appears while the customer types, and who has the conversation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.text import Text

from agentkit.bot import Bot
from agentkit.cli.live_prompt import LivePrompt
from agentkit.cli.render import EventPrinter
from agentkit.cli.terminal import out
from agentkit.errors import AgentKitError
from agentkit.events import Event, HandOffEnded, PersonAnswered, Replied
from agentkit.store.protocol import TurnRecord


class People:
    """Watches one conversation for what people say in it.

    Args:
        bot: An open bot.
        user: The customer.
        conversation: The conversation.
    """

    def __init__(self, bot: Bot, user: str, conversation: str) -> None:
        self.prompt = LivePrompt()
        self.conversation = conversation
        self._bot = bot
        self._user = user
        self._store = bot.agent.store.for_user("default", user)
        self._busy = threading.Lock()
        self._person = ""
        self._seen = self._seen_before()

    def go_to(self, conversation: str) -> None:
        """Watch another conversation."""
        with self._busy:
            self.conversation, self._person = conversation, ""
            self._seen = self._seen_before()

    @contextmanager
    def talking(self) -> Iterator[None]:
        """A block in which the bot answers: what is new in it was shown."""
        with self._busy:
            yield
            self._show_new(also_replies=False)

    def withdraw(self, printer: EventPrinter) -> None:
        """Go on with the bot; it answers what was said meanwhile."""
        with self._busy:
            if self._bot.agent.hand_offs.withdraw(self._user, self.conversation) is None:
                out.print(Text("You are with the bot.", style="dim"))
                return
            out.print(Text("You are with the bot again.", style="dim"))
            self._bot.agent.resume()
            self._show_new(also_replies=True)

    def look(self) -> None:
        """See what is new, and show it above the prompt."""
        if not self._busy.acquire(blocking=False):
            return
        try:
            self._show_person()
            self._show_new(also_replies=True)
            if self._store.waiting(self.conversation) and self._store.hand_off(self.conversation) is None:
                self._bot.agent.resume()  # the bot has the conversation back, with what was not answered
                self._show_new(also_replies=True)
        except AgentKitError as error:
            message = error.message
            self.prompt.above(lambda: out.print(Text(message, style="dim")))
        finally:
            self._busy.release()

    def _show_person(self) -> None:
        record = self._store.hand_off(self.conversation)
        person = record.person if record is not None and record.status == "taken" else ""
        if person and person != self._person:
            self.prompt.above(lambda: out.print(Text(f"  {person} is here now.", style="magenta")))
        self._person = person

    def _show_new(self, *, also_replies: bool) -> None:
        """Show the replies of turns that ended since; of the bot only those that nobody here has seen."""
        for turn in self._new_turns():
            if turn.status == "open":
                return
            self._seen = turn.seq + 1
            events = self._store.events(turn.id)
            if also_replies or _is_of_people(events):
                self._show(events)

    def _show(self, events: tuple[Event, ...]) -> None:
        replies = [event for event in events if isinstance(event, Replied) and event.text]
        if replies:
            self.prompt.above(lambda: _print(replies))

    def _new_turns(self) -> list[TurnRecord]:
        last = self._store.turns(self.conversation, last=1)
        missing = last[0].seq + 1 - self._seen if last else 0
        return self._store.turns(self.conversation, last=missing) if missing > 0 else []

    def _seen_before(self) -> int:
        """Turns that the customer has seen: up to the last one in which the bot answered them here."""
        turns = self._store.turns(self.conversation)
        seen = len(turns)
        for turn in turns[::-1]:
            if turn.status != "open" and not _is_of_people(self._store.events(turn.id)):
                break
            seen = turn.seq
        return seen


def _print(replies: list[Replied]) -> None:
    printer = EventPrinter(out, steps=False)
    for reply in replies:
        printer.event(reply)


def _is_of_people(events: tuple[Event, ...]) -> bool:
    return any(isinstance(event, (PersonAnswered, HandOffEnded)) for event in events)
