"""`agentkit eval slots`: what is understood of messages, beside what should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track
from rich.table import Table
from rich.text import Text

from agentkit.bot.config import DEFAULT_ENCODER, DEFAULT_GENERATOR
from agentkit.cli.options import JsonOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err, out
from agentkit.models import load_encoder, load_generator
from agentkit.prompts import PromptLibrary
from agentkit.service.understanding.evaluation import (
    UnderstandingCase,
    UnderstandingResult,
    UnderstandingSummary,
    check_understanding_cases,
    evaluate_understanding,
    load_sketched_bot,
    read_understanding_cases,
    summarise_understanding,
)


def slots(
    file: Annotated[Path, typer.Argument(help="JSON Lines file with one message in its situation a line.")],
    models: Annotated[
        str,
        typer.Option(
            "--models", "-m", help="Generators, separated by commas; `none`: rules and encoder alone."
        ),
    ] = DEFAULT_GENERATOR,
    encoder: Annotated[
        str, typer.Option("--encoder", help="Catalogue name, folder or Hugging Face id.")
    ] = DEFAULT_ENCODER,
    show: Annotated[bool, typer.Option("--show", help="Print what was not understood exactly.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Commands and slots: {"id", "bot", "text", "today", "awaiting", "filled", "expected"} a line.

    Every message is understood as in a turn: by rules, by the encoder, and by the generator where neither is sure.
    Prints how many were understood exactly, how many without a generation, and what they took.
    """
    cases = read_understanding_cases(file)
    progress = BarProgress(err)
    loaded = load_encoder(encoder, progress=progress)
    folders = {name: file.parent / name for name in sorted({each.bot for each in cases})}
    bots = {name: load_sketched_bot(folder, loaded) for name, folder in folders.items()}
    check_understanding_cases(file, cases, bots)
    results: dict[str, list[UnderstandingResult]] = {}
    for name in [each.strip() for each in models.split(",")]:
        generator = None if name == "none" else load_generator(name, progress=progress)
        fresh = load_encoder(encoder, progress=progress)  # it remembers what it embedded for the model before
        found = evaluate_understanding(
            track(cases, console=err, description=name, transient=True),
            bots,
            encoder=fresh,
            generator=generator,
            prompts=PromptLibrary(),
        )
        results[name] = list(found)
        if generator is not None:
            generator.close()
    if as_json:
        out.print_json(
            json.dumps({name: [each.__dict__ for each in found] for name, found in results.items()})
        )
        return
    out.print(_table(file.name, {name: summarise_understanding(found) for name, found in results.items()}))
    if show:
        for name, understood in results.items():
            _show(name, understood, cases)


def _table(title: str, figures: dict[str, UnderstandingSummary]) -> Table:
    table = Table("", title=title, title_justify="left", box=None)
    table.columns[0].style = "dim"
    rows: dict[str, list[str]] = {}
    for model, summary in figures.items():
        table.add_column(model, justify="right", no_wrap=True)
        rows.setdefault("exact", []).append(_share(summary.exact, summary.cases))
        for kind, (exact, count) in summary.by_kind.items():
            rows.setdefault(f"  {kind}", []).append(_share(exact, count))
        rows.setdefault("without a generation", []).append(_share(summary.without_generation, summary.cases))
        for name, took in (
            ("  ms, median", summary.milliseconds),
            ("  ms of processor time, median", summary.processor_milliseconds),
            ("with one: ms, median", summary.milliseconds_asking),
        ):
            rows.setdefault(name, []).append("" if took is None else f"{took:,.1f}")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _show(model: str, results: list[UnderstandingResult], cases: list[UnderstandingCase]) -> None:
    for result, case in zip(results, cases, strict=True):
        if not result.exact:
            place = f" ({case.awaiting})" if case.awaiting else ""
            out.print(Text(f"\n{model}, {case.id}: {case.text}{place}", style="yellow"))
            out.print(
                Text(f"  expected    {', '.join(case.expected)}\n  understood  {', '.join(result.commands)}")
            )


def _share(count: int, of: int) -> str:
    return f"{count} of {of} {100 * count / of:.1f}%"
