"""A report as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import jinja2

from agentkit.analytics.drawing import COLOURS, bars_over_time, bars_side_by_side, names_in_order
from agentkit.analytics.report import Report, Share

_MOST_ROWS = 12  # of a picture with one bar a row
_MOST_GROUPS = 30  # of unanswered questions


def as_html(report: Report) -> str:
    """The page; every word of a customer in it is escaped."""
    names = names_in_order(report.periods)
    has_others = any(each.name not in names for each in report.intents)
    legend = [*enumerate(names), *([(COLOURS - 1, "others")] if has_others else [])]
    return _template().render(
        report=report,
        groups=report.unanswered[:_MOST_GROUPS],
        left_out=len(report.unanswered[_MOST_GROUPS:]),
        over_time=bars_over_time(report.periods),
        legend=legend,
        reasons=bars_side_by_side(report.reasons[:_MOST_ROWS], "Why conversations went to people"),
        fallbacks=bars_side_by_side(report.fallback_kinds[:_MOST_ROWS], "Why the bot did not know"),
        policies=bars_side_by_side(report.policies[:_MOST_ROWS], "Rules that stood against a call"),
    )


def percent(share: Share) -> str:
    """A share in percent; a dash of nothing."""
    return "–" if share.value is None else f"{share.value:.0%}"


def duration(seconds: float | None) -> str:
    """A time as people say it; a dash for none."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "duration": duration}
    return environment.from_string(
        (files("agentkit.analytics") / "page.html.jinja").read_text(encoding="utf-8")
    )
