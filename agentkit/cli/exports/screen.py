"""Moments as lines of a terminal, in the same look as `agentkit demo`."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from agentkit.cli.exports.screenplay import Moment, Screenplay

WIDTH: Final = 92
"""Columns of the terminal in casts and pictures."""

_LABEL: Final = 10
_INDENT: Final = 6


@dataclass(frozen=True)
class ScreenLine:
    """One line of the terminal.

    Args:
        text: What it says, with styles.
        at: Seconds from the start when it appears, or when it begins to be typed.
        typing: Seconds over which it is typed.
        typed_from: Columns that are there at once.
    """

    text: Text
    at: float
    typing: float = 0.0
    typed_from: int = 0


def screen_lines(play: Screenplay, *, steps: bool = True) -> list[ScreenLine]:
    """Every line that a screenplay writes, in order.

    Args:
        play: The screenplay.
        steps: Whether inner steps and checks are shown; a check that does not hold always is.
    """
    title = Text(f"{play.bot}: {play.title}", style="bold")
    lines = [ScreenLine(title, 0.0)]
    lines += [ScreenLine(Text(each, style="dim"), 0.0) for each in textwrap.wrap(play.description, WIDTH)]
    for moment in play.moments:
        match moment.kind:
            case "pause" | "new":
                rule = f" {moment.text} ".center(WIDTH, "─")
                lines += [ScreenLine(Text(""), moment.at), ScreenLine(Text(rule, style="dim"), moment.at)]
            case "user":
                lines += [ScreenLine(Text(""), moment.at), *_said(moment, "you ▸ ", "bold cyan")]
            case "bot":
                lines += _said(moment, "bot ▸ ", "bold green")
            case "check":
                if steps or not moment.holds:
                    mark, style = ("✓ expected", "green") if moment.holds else ("✗ expected", "red")
                    lines.append(_step(mark, moment.text, "", style, moment.at))
            case "step":
                if steps:
                    lines.append(_step(moment.label, moment.text, moment.time, moment.style, moment.at))
    return lines


def _said(moment: Moment, who: str, style: str) -> list[ScreenLine]:
    rows = [row for text in moment.text.splitlines() for row in textwrap.wrap(text, WIDTH - _INDENT) or [""]]
    length = sum(map(len, rows)) or 1
    lines, at = [], moment.at
    for number, row in enumerate(rows):
        start = Text().append(who, style=style) if number == 0 else Text(" " * _INDENT)
        typing = moment.typing * len(row) / length
        lines.append(ScreenLine(start.append(row), at, typing, _INDENT))
        at += typing
    return lines


def _step(label: str, text: str, time: str, style: str, at: float) -> ScreenLine:
    room = WIDTH - _LABEL - 4 - 10
    short = text if len(text) <= room else text[: room - 1] + "…"
    return ScreenLine(Text(f"  {label:>{_LABEL}}  {short:<{room}}{time:>10}".rstrip(), style=style), at)
