"""A played scenario as moments in time: what appears when, for people who watch instead of read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from rich.console import Console

from agentkit.cli.render import EventPrinter
from agentkit.events import Replied
from agentkit.scenarios import Checked, Played, Scenario, UserLine

Kind: TypeAlias = Literal["pause", "new", "user", "step", "bot", "check"]

_BEFORE_LINE: Final = 1.2  # seconds before a user begins to type
_AFTER_WAIT: Final = 1.6  # seconds that stand for hours or days
_LEAST_STEP, _MOST_STEP = 0.12, 1.0  # seconds that a step is given, whatever it took
_BEFORE_REPLY: Final = 0.4
_READ_PER_CHARACTER: Final = 0.018  # seconds that a viewer needs for a reply
_MOST_READ: Final = 3.5
_AT_END: Final = 4.0


@dataclass(frozen=True)
class Moment:
    """Something appears.

    Args:
        kind: What: a gap in time, a new conversation, a user line, an inner step, a reply, a checked expectation.
        text: What it says.
        label: Of a step: its name.
        time: Of a step: how long it took, as text.
        style: Of a step: its colour, as rich names it.
        at: Seconds from the start.
        typing: Seconds over which it is typed.
        holds: Of a check: whether it holds.
    """

    kind: Kind
    text: str
    label: str = ""
    time: str = ""
    style: str = "dim"
    at: float = 0.0
    typing: float = 0.0
    holds: bool = True


@dataclass(frozen=True)
class Screenplay:
    """A scenario that was played, with the times of a demo.

    Args:
        bot: The name of the bot.
        title: The name of the scenario.
        description: What it shows.
        moments: What appears, in order.
        seconds: How long it takes.
    """

    bot: str
    title: str
    description: str
    moments: tuple[Moment, ...]
    seconds: float


@dataclass(frozen=True)
class Pace:
    """How quick a demo is.

    Args:
        typing: Characters a second that a user types; 0: lines appear at once.
        pauses: Factor for all pauses.
    """

    typing: float = 28.0
    pauses: float = 1.0

    def typed(self, text: str) -> float:
        """Seconds for typing a text."""
        return len(text) / self.typing if self.typing else 0.0

    def before(self, line: UserLine) -> float:
        """Seconds before a user line."""
        return (_BEFORE_LINE + (_AFTER_WAIT if line.line.wait else 0.0)) * self.pauses

    def reading(self, text: str) -> float:
        """Seconds after a reply."""
        return min(_MOST_READ, len(text) * _READ_PER_CHARACTER) * self.pauses


class _Collector(EventPrinter):
    """Collects what would be printed."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.found: list[Moment] = []

    def _line(self, label: str, text: str, milliseconds: float = 0.0, *, style: str = "dim") -> None:
        time = f"{milliseconds:,.0f} ms" if milliseconds >= 1 else ("<1 ms" if milliseconds > 0 else "")
        self.found.append(Moment("step", " ".join(text.split()), label, time, style))

    def _say(self, who: str, text: str, style: str) -> None:
        self.found.append(Moment("bot", text))


def screenplay(
    bot: str, scenario: Scenario, played: Iterable[Played], pace: Pace | None = None
) -> Screenplay:
    """Give a played scenario the times of a demo.

    Args:
        bot: The name of the bot.
        scenario: The scenario.
        played: What happened.
        pace: How quick it is.
    """
    pace = pace or Pace()
    moments: list[Moment] = []
    clock = 0.5
    for item in played:
        if isinstance(item, UserLine):
            if item.line.wait:
                moments.append(Moment("pause", f"{item.line.wait} later", at=clock))
            if item.new_conversation:
                moments.append(Moment("new", "a new conversation of the same customer", at=clock))
            clock += pace.before(item)
            typing = pace.typed(item.text)
            moments.append(Moment("user", item.text, at=clock, typing=typing))
            clock += typing + 0.2
        elif isinstance(item, Checked):
            found = "" if item.holds else f" (found: {item.found})"
            moments.append(Moment("check", item.what + found, at=clock, holds=item.holds))
        else:
            collector = _Collector()
            collector.event(item)
            took = min(_MOST_STEP, max(_LEAST_STEP, item.milliseconds / 1000)) * pace.pauses
            for moment in collector.found:
                clock += _BEFORE_REPLY * pace.pauses if moment.kind == "bot" else took
                moments.append(replace(moment, at=clock))
            if isinstance(item, Replied):
                clock += pace.reading(item.text)
    return Screenplay(bot, scenario.name, scenario.description, tuple(moments), clock + _AT_END)
