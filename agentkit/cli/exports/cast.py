"""A demo as an asciinema cast, format version 2 (docs.asciinema.org/manual/asciicast/v2): JSON lines."""

from __future__ import annotations

import io
import json
from typing import Final

from rich.console import Console
from rich.text import Text

from agentkit.cli.exports.screen import WIDTH, ScreenLine, screen_lines
from agentkit.cli.exports.screenplay import Screenplay

_HEIGHT: Final = 30


def cast(play: Screenplay, *, steps: bool = True) -> str:
    """The text of a `.cast` file; see `screen_lines` for the arguments."""
    header = {
        "version": 2,
        "width": WIDTH,
        "height": _HEIGHT,
        "title": f"{play.bot}: {play.title}",
        "env": {"TERM": "xterm-256color"},
    }
    rows: list[object] = [header]
    for line in screen_lines(play, steps=steps):
        rows += _output(line)
    rows.append([round(play.seconds, 3), "o", ""])  # keeps the last screen for a while
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"


def _output(line: ScreenLine) -> list[list[object]]:
    """What the line writes, and when: at once, or character by character."""
    if not line.typing:
        return [[round(line.at, 3), "o", ansi(line.text) + "\r\n"]]
    written: list[list[object]] = [[round(line.at, 3), "o", ansi(line.text[: line.typed_from])]]
    typed = line.text.plain[line.typed_from :]
    for number, character in enumerate(typed, 1):
        written.append([round(line.at + line.typing * number / len(typed), 3), "o", character])
    written.append([round(line.at + line.typing, 3), "o", "\r\n"])
    return written


def ansi(text: Text) -> str:
    """A line with the escape codes of its styles."""
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", width=10_000, legacy_windows=False
    )
    with console.capture() as captured:
        console.print(text, end="", soft_wrap=True)
    return captured.get()
