"""Pictures as SVG text: bars over time and bars side by side. Colours are CSS variables of the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from agentkit.analytics.report import Counted, Period

COLOURS: Final = 8
"""Different colours that a page has for kinds: `--kind-0` to `--kind-7`; the last is for all others."""

_WIDTH, _HEIGHT = 720, 240
_LEFT, _BOTTOM, _TOP = 36, 22, 8
_ROW, _LABEL, _FIGURE = 24, 240, 48
_LONGEST_LABEL: Final = 34  # characters
_DATES: Final = 8  # that are written below the bars


def names_in_order(periods: Sequence[Period]) -> list[str]:
    """The most frequent kinds, as many as there are colours but one; all others share the last."""
    counts: dict[str, int] = {}
    for period in periods:
        for each in period.intents:
            counts[each.name] = counts.get(each.name, 0) + each.count
    return sorted(counts, key=lambda name: (-counts[name], name))[: COLOURS - 1]


def bars_over_time(periods: Sequence[Period]) -> str:
    """One bar for each period, made of its kinds; empty text where there is nothing to show."""
    most = max((period.turns for period in periods), default=0)
    if not most:
        return ""
    names = names_in_order(periods)
    step = (_WIDTH - _LEFT) / len(periods)
    parts = [_scale(most)]
    for position, period in enumerate(periods):
        x, y = _LEFT + position * step, float(_HEIGHT - _BOTTOM)
        for kind, count in _stack(period, names):
            height = count / most * (_HEIGHT - _BOTTOM - _TOP)
            y -= height
            title = names[kind] if kind < len(names) else "others"
            parts.append(
                f'<rect x="{x + 0.1 * step:.1f}" y="{y:.1f}" width="{0.8 * step:.1f}" height="{height:.1f}" '
                f'fill="var(--kind-{kind})"><title>{period.begins}: {escape(title)} {count}</title></rect>'
            )
        if position % max(1, -(-len(periods) // _DATES)) == 0:
            parts.append(
                f'<text x="{x + step / 2:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">'
                f"{period.begins:%d %b}</text>"
            )
    return _picture(_WIDTH, _HEIGHT, "Messages over time, by intent", parts)


def bars_side_by_side(counts: Sequence[Counted], title: str) -> str:
    """One row for each: name, bar, figure; empty text where there is nothing to show."""
    most = max((each.count for each in counts), default=0)
    if not most:
        return ""
    parts = []
    room = _WIDTH - _LABEL - _FIGURE
    for position, each in enumerate(counts):
        y = position * _ROW
        name = each.name if len(each.name) <= _LONGEST_LABEL else each.name[: _LONGEST_LABEL - 1] + "…"
        width = max(1.0, each.count / most * room)
        parts.append(
            f'<text x="{_LABEL - 8}" y="{y + 16}" text-anchor="end"><title>{escape(each.name)}</title>'
            f"{escape(name.replace('_', ' '))}</text>"
            f'<rect x="{_LABEL}" y="{y + 4}" width="{width:.1f}" height="{_ROW - 8}" fill="var(--kind-0)"/>'
            f'<text x="{_LABEL + width + 6:.1f}" y="{y + 16}">{each.count:,}</text>'
        )
    return _picture(_WIDTH, len(counts) * _ROW + 4, title, parts)


def _stack(period: Period, names: Sequence[str]) -> list[tuple[int, int]]:
    """Kinds and their counts, the most frequent of all periods first."""
    counts = {each.name: each.count for each in period.intents}
    named = [(kind, counts[name]) for kind, name in enumerate(names) if counts.get(name)]
    others = sum(count for name, count in counts.items() if name not in names)
    return [*named, *([(COLOURS - 1, others)] if others else [])]


def _scale(most: int) -> str:
    lines = []
    for share in (0.0, 0.5, 1.0):
        y = _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)
        lines.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{round(share * most):,}</text>'
        )
    return "".join(lines)


def _picture(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
