"""`agentkit bench`: how quick the generator is on this machine. The table also shows what `make bench` found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err, out
from agentkit.errors import ConfigurationError
from agentkit.models.bench import AGENTKIT, ModelReport, Plan, Report, measure
from agentkit.models.bench.cases import figure
from agentkit.models.bench.figures import Spread
from agentkit.models.resolve import resolve

REPORT_FILE: Final = "report.json"


def plan_of(*, models: str, cases: str, rounds: int, calls: str) -> Plan:
    """A plan from what was typed: lists are joined by commas.

    Raises:
        ConfigurationError: There is no such case, or a number of calls is none.
    """
    marks = _list(calls)
    if not all(mark.isdecimal() and int(mark) > 0 for mark in marks):
        raise ConfigurationError(f"`{calls}` is no list of numbers.", hint="For example: --calls 64,256")
    return Plan(_list(models), _list(cases), rounds, sorted({int(mark) for mark in marks}))


def _list(typed: str) -> list[str]:
    return [item.strip() for item in typed.split(",") if item.strip()]


def bench(plan: Plan, folder: Path | None, *, as_json: bool) -> None:
    """Measure agentkit alone and print what was found.

    Args:
        plan: What to measure.
        folder: Where to keep `report.json`; None for nowhere.
        as_json: Print JSON instead of a table.

    Raises:
        AgentKitError: A model cannot be loaded, or the folder cannot be written.
    """
    progress = BarProgress(err)
    for model in plan.models:
        resolve(model, progress)
    report = measure(plan, progress=progress, keep=lambda found: keep_report(found, folder))
    keep_report(report, folder)
    if as_json:
        out.print_json(report.model_dump_json())
    else:
        out.print(report_view(report))


def keep_report(report: Report, folder: Path | None) -> None:
    """Write `report.json` into a folder, if there is one.

    Raises:
        ConfigurationError: It cannot be written.
    """
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT_FILE).write_text(report.model_dump_json(indent=1) + "\n", "utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written: {error.strerror}.", hint="Name another folder with --out."
        ) from error


def report_view(report: Report) -> RenderableType:
    """A report as a terminal shows it: a table a model, then what was left out and why."""
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    parts: list[RenderableType] = [Text(f"{report.made}  {machine}", style="dim")]
    for model in report.models:
        parts += [Text(), _table(model)]
        for missing in model.left_out:
            where = f"{missing.engine}, {missing.case}" if missing.case else missing.engine
            parts.append(Text.assemble(("left out: ", "yellow"), f"{where}: {missing.why}"))
    for missing in report.not_installed:
        parts.append(Text.assemble(("left out: ", "yellow"), f"{missing.engine}: {missing.why}"))
    return Group(*parts)


def _table(model: ModelReport) -> Table:
    peers = [engine for engine in model.engines if engine != AGENTKIT]
    caption = "median (least–greatest)" + ("; × agentkit's figure in multiples of it" if peers else "")
    table = Table(title=model.model, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    table.caption, table.caption_justify = caption, "left"
    table.add_column()
    table.add_column(style="dim", no_wrap=True)
    for engine, about in model.engines.items():
        table.add_column(f"{engine}\n[dim]{about}[/dim]", justify="left")
    for name in model.names():
        about_figure = figure(name)
        table.add_row(about_figure.title, about_figure.unit, *_cells(model, name))
    return table


def _cells(model: ModelReport, name: str) -> Iterator[Text]:
    """A figure of every engine; for a peer also how agentkit's compares to it, green where that is better."""
    for engine in model.engines:
        value = model.spread(engine, name)
        if value is None:
            yield Text("–", style="dim")
            continue
        cell = _spread_text(value)
        compared = model.ratio(engine, name) if engine != AGENTKIT and figure(name).compared else None
        if compared is not None:
            better = (compared.median < 1) == figure(name).lower_is_better
            cell.append("\n")
            cell.append_text(_spread_text(compared, "×", style="green" if better else "red"))
        yield cell


def _spread_text(value: Spread, sign: str = "", style: str = "") -> Text:
    text = Text(sign + _number(value.median), style=style)
    if value.count > 1:
        text.append(f" ({_number(value.least)}–{_number(value.greatest)})", style="dim")
    return text


def _number(value: float) -> str:
    """Three digits that count: 0.512, 5.12, 51.2, 512, 5,120."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"
