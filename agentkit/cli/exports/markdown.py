"""A demo as a transcript in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agentkit.cli.exports.screenplay import Moment, Screenplay

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~]|^[-+](?= ))")


def markdown(play: Screenplay, *, steps: bool = True) -> str:
    """The text of a `.md` file; inner steps are folded away below each reply, or left out."""
    parts = [
        f"# {_plain(play.title)}",
        f"A conversation with *{_plain(play.bot)}*. {_plain(play.description)}".strip(),
    ]
    waiting: list[Moment] = []
    for moment in play.moments:
        match moment.kind:
            case "pause" | "new":
                parts += _steps(waiting, steps)
                parts.append(f"*— {_plain(moment.text)} —*")
            case "user":
                parts += _steps(waiting, steps)
                parts.append(f"**You:** {_lines(moment.text)}")
            case "bot":
                parts.append("\n".join(f"> {line}".rstrip() for line in _lines(moment.text).split("\n")))
            case "step" | "check":
                waiting.append(moment)
    parts += _steps(waiting, steps)
    return "\n\n".join(parts) + "\n"


def _steps(waiting: list[Moment], steps: bool) -> Sequence[str]:
    """The steps of the last turn as a folded table; empties the list."""
    moments = [each for each in waiting if steps or (each.kind == "check" and not each.holds)]
    waiting.clear()
    if not moments:
        return []
    rows = []
    for each in moments:
        label = each.label if each.kind == "step" else ("✓ expected" if each.holds else "✗ expected")
        rows.append(f"| {label} | {_plain(each.text)} | {each.time} |")
    table = "\n".join(["| step | what | time |", "|---|---|--:|", *rows])
    return [f"<details><summary>inner steps</summary>\n\n{table}\n\n</details>"]


def _lines(text: str) -> str:
    return "  \n".join(_plain(line) for line in text.splitlines())


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
