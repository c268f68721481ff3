"""A demo as one HTML file: nothing is loaded from elsewhere, and it can be read without scripts."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from agentkit.cli.exports.screenplay import Moment, Screenplay


def page(play: Screenplay, *, steps: bool = True) -> str:
    """The text of an `.html` file.

    Args:
        play: The screenplay.
        steps: Whether inner steps are open at first.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("agentkit.cli.exports").joinpath("page.html.jinja").read_text(encoding="utf-8")
    template = environment.from_string(source)
    return template.render(play=play, turns=_turns(play.moments), steps=steps) + "\n"


def _turns(moments: tuple[Moment, ...]) -> list[list[Moment]]:
    """Moments by user line; what comes before a line, such as a gap in time, belongs to it."""
    turns: list[list[Moment]] = [[]]
    for moment in moments:
        opens = moment.kind in ("pause", "new", "user")
        if opens and any(each.kind == "bot" for each in turns[-1]):
            turns.append([])
        turns[-1].append(moment)
    return [turn for turn in turns if turn]
