"""`agentkit report`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from agentkit.analytics import Report, as_html, measure
from agentkit.analytics.page import duration, percent
from agentkit.bot.config import load_config
from agentkit.cli.progress import BarProgress
from agentkit.cli.store import open_database
from agentkit.cli.terminal import err, out
from agentkit.errors import ConfigurationError
from agentkit.models import load_encoder

_MOST_ROWS: Final = 10
_BAR: Final = 30  # characters
_SPAN: Final = re.compile(r"(\d+)\s*(d|days?|w|weeks?)", re.IGNORECASE)


def report(
    folder: Path,
    *,
    database: Path | None,
    since: str | None,
    html: Path | None,
    as_json: bool,
    meaning: bool,
    now: datetime | None = None,
) -> None:
    """Measure, and write it where it was asked for."""
    now = now or datetime.now(UTC)
    first = since_when(since, now) if since else None
    config = load_config(folder)
    store = open_database(folder, database)
    try:
        encoder = load_encoder(config.encoder, progress=BarProgress(err)) if meaning else None
        found = measure(store, bot=config.name, now=now, since=first, encoder=encoder)
    finally:
        store.close()
    if html is not None:
        try:
            html.write_text(as_html(found), encoding="utf-8")
        except OSError as problem:
            raise ConfigurationError(
                f"{html} could not be written: {problem.strerror or problem}.",
                hint="Name a file in a folder that is there and that you may write to.",
            ) from problem
        err.print(Text(f"{html} is written: open it in a browser.", style="dim"), soft_wrap=True)
    if as_json:
        out.print_json(found.model_dump_json())
    elif html is None:
        show(found)


def since_when(text: str, now: datetime) -> datetime:
    """A day such as 2026-11-01, or a span back from now such as `7d` or `2 weeks`.

    Raises:
        ConfigurationError: It is neither.
    """
    if (match := _SPAN.fullmatch(text.strip())) is not None:
        days = int(match[1]) * (7 if match[2].casefold().startswith("w") else 1)
        return now - timedelta(days=days)
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is neither a day nor a span of time.", hint="Write 2026-11-01, 7d or 2w."
        ) from None


def show(found: Report) -> None:
    """The report in a terminal."""
    since = f"since {found.since:%Y-%m-%d}" if found.since else "all that is kept"
    out.print(Text(f"{found.bot}, {since}", style="bold"))
    out.print(
        f"{found.turns:,} messages in {found.conversations:,} conversations of {found.customers:,} customers"
    )
    grid = Table.grid(padding=(0, 2))
    for name, figure, more in (
        ("contained", percent(found.contained), f"{found.contained.count} conversations needed no person"),
        (
            "handed off",
            percent(found.handed_off),
            f"{found.waiting} wait now, {found.callbacks} to be called",
        ),
        ("fallbacks", percent(found.fallbacks), f"{found.fallbacks.count} messages"),
        (
            "without generation",
            percent(found.without_generation),
            f"median {duration(found.answer_time_without_generation.median)}",
        ),
        (
            "bot's answer",
            duration(found.answer_time.median),
            f"nine of ten within {duration(found.answer_time.ninth_decile)}",
        ),
        (
            "person's first word",
            duration(found.wait_for_a_person.median),
            f"{found.wait_for_a_person.count} answered",
        ),
    ):
        grid.add_row(f"  {name}", Text(figure, style="bold"), Text(more, style="dim"))
    out.print(grid)
    _show_bars("What customers want", [(each.name, each.count) for each in found.intents])
    _show_bars("What to write next", [(group.example, group.count) for group in found.unanswered])
    failing = [(f"{each.slot} of {each.flow}", each.failures) for each in found.slots if each.failures]
    _show_bars("Values that fail", failing)
    _show_bars("Why people were needed", [(each.name, each.count) for each in found.reasons])


def _show_bars(title: str, counts: list[tuple[str, int]]) -> None:
    if not counts:
        return
    out.print(Text(f"\n{title}", style="bold"))
    most = max(count for _, count in counts)
    table = Table.grid(padding=(0, 1))
    table.add_column(max_width=56, no_wrap=True, overflow="ellipsis")
    for name, count in counts[:_MOST_ROWS]:
        bar = "█" * max(1, round(count / most * _BAR))
        table.add_row(Text(f"  {name.replace('_', ' ')}"), f"{count:>5}", Text(bar, style="blue"))
    out.print(table)
