"""`agentkit test`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

from rich.progress import track
from rich.text import Text

from agentkit.bot import load_config
from agentkit.cli.terminal import err, out
from agentkit.errors import BotFileError, ScenarioFailed
from agentkit.models import load_encoder, load_generator_lazily
from agentkit.scenarios import (
    Cast,
    Plan,
    Result,
    Statistics,
    explain,
    run_all,
    scenario_path,
    scenario_paths,
    statistics_of,
    update_replies,
    write_junit,
)
from agentkit.scenarios.script import random_generator
from agentkit.scenarios.simulation import Simulated, Simulation, by_kind, load_setting

_RANDOM: Final = "random"


@dataclass(frozen=True)
class Wishes:
    """What to do with the results.

    Args:
        junit: Write them there as JUnit XML.
        update: Write the replies into the `bot:` lines of the files.
        stats: Print figures over all turns.
        as_json: Print results and figures as JSON instead of text.
    """

    junit: Path | None = None
    update: bool = False
    stats: bool = False
    as_json: bool = False


def run_scenarios(plan: Plan, names: Sequence[str], workers: int, wishes: Wishes) -> None:
    """Run the scenarios of a bot; exit with 1 if one fails."""
    config = load_config(plan.folder)
    paths = [scenario_path(plan.folder, name) for name in names] or scenario_paths(plan.folder)
    if not paths:
        raise BotFileError(
            "the bot has no scenarios",
            path=plan.folder / "scenarios",
            hint="Write one, or record one: agentkit record BOT NAME",
        )
    results = []
    for result in run_all(plan, paths, workers):
        results.append(result)
        if not wishes.as_json:
            _show(result)
        if wishes.update and not result.error and (count := update_replies(result)):
            out.print(Text(f"  {result.path}: {count} replies written anew", style="yellow"))
    results.sort(key=lambda each: each.name)
    if wishes.junit is not None:
        write_junit(wishes.junit, config.name, results)
    figures = statistics_of(results)
    if wishes.as_json:
        shown = {"statistics": figures.model_dump(), "results": [r.model_dump(mode="json") for r in results]}
        out.print_json(json.dumps(shown))
    else:
        _conclude(results, figures, stats=wishes.stats)
    failed = [result.name for result in results if not result.passed]
    if failed:
        raise ScenarioFailed(
            f"{len(failed)} of {len(results)} scenarios failed: {', '.join(failed)}.",
            hint="What was expected and what was found is above; `--update` writes changed `bot:` lines anew.",
        )


def simulate(plan: Plan, count: int, seed: int, *, as_json: bool) -> None:
    """Let simulated users talk to a bot; exit with 1 if a promise is broken."""
    config = load_config(plan.folder)
    setting = load_setting(plan.folder)
    encoder = load_encoder(config.encoder)
    real = None if plan.model == _RANDOM else load_generator_lazily(plan.model or config.generator)

    def cast(number: int) -> Cast:
        return Cast(generator=real or random_generator(number), encoder=encoder)

    simulation = Simulation(plan.folder, setting, cast)
    seen: list[Simulated] = []
    for each in track(simulation.run(range(seed, seed + count)), total=count, console=err, transient=True):
        seen.append(each)
    kinds = {
        kind: [simulation.shrunk(min(found, key=lambda each: len(each.lines))), *found]
        for kind, found in by_kind(seen).items()
    }
    turns = sum(len(each.lines) for each in seen)
    if as_json:
        shown = {kind: [each.model_dump() for each in found] for kind, found in kinds.items()}
        out.print_json(json.dumps({"conversations": count, "turns": turns, "broken": shown}))
    else:
        out.print(f"{count} conversations, {turns} turns, seeds {seed} to {seed + count - 1}")
        for kind, found in kinds.items():
            _show_kind(kind, found[0], len(found) - 1)
    if kinds:
        raise ScenarioFailed(
            f"{sum(len(found) - 1 for found in kinds.values())} of {count} simulated conversations broke a promise.",
            hint="The shortest conversation of each kind is above; --simulate 1 --seed SEED plays one again.",
        )
    if not as_json:
        out.print(Text("No promise was broken.", style="green"))


def _show_kind(kind: str, shortest: Simulated, count: int) -> None:
    out.print()
    out.print(
        Text(f"✗ {kind}: {count} conversations, the shortest with seed {shortest.seed}", style="bold red")
    )
    for line, reply in zip_longest(shortest.lines, shortest.replies, fillvalue=""):
        out.print(Text(f"    {shortest.user} ▸ {textwrap.shorten(line, 200)}"))
        out.print(Text(f"    bot ▸ {reply}"), soft_wrap=True)
    for each in shortest.broken:
        out.print(Text(textwrap.indent(f"{each.kind}: {each.detail}", "      "), style="red"), soft_wrap=True)


def _show(result: Result) -> None:
    mark, style = ("✓", "green") if result.passed else ("✗", "bold red")
    turns = f"{len(result.turns)} turn{'s' if len(result.turns) != 1 else ''}"
    out.print(
        Text.assemble((f"{mark} ", style), f"{result.name:<44} ", (f"{turns}, {result.seconds:.1f} s", "dim"))
    )
    if not result.passed:
        for line in explain(result):
            out.print(Text(line, style=_style_of(line)), soft_wrap=True)


def _style_of(line: str) -> str:
    start = line.lstrip()[:1]
    return {"✗": "red", "-": "red", "+": "green"}.get(start, "")


def _conclude(results: Sequence[Result], figures: Statistics, *, stats: bool) -> None:
    checks = sum(turn.checks for result in results for turn in result.turns)
    out.print()
    if figures.passed == figures.scenarios:
        out.print(Text(f"All {figures.scenarios} scenarios pass ({checks} expectations).", style="green"))
    if not stats:
        return
    share = figures.without_generation / figures.turns if figures.turns else 0.0
    out.print(f"turns                        {figures.turns}")
    out.print(f"without generation           {figures.without_generation}, {share:.1%}")
    out.print(f"  median time of those       {_time(figures.median_without)}")
    out.print(f"  of those, judged by the generator's vectors  {figures.reading_state}")
    out.print(f"  median time of the others  {_time(figures.median_encoder)}")
    out.print(f"median time with generation  {_time(figures.median_with)}")
    themes = sorted({result.theme for result in results if result.theme})
    for theme in themes:
        own = [result for result in results if result.theme == theme]
        out.print(Text(f"{theme:<28} {sum(r.passed for r in own)} of {len(own)} pass", style="dim"))


def _time(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:,.1f} ms"
