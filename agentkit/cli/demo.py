"""`agentkit demo`."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from agentkit.bot import load_config
from agentkit.cli.chat import converse
from agentkit.cli.progress import BarProgress
from agentkit.cli.render import EventPrinter
from agentkit.cli.terminal import err, out
from agentkit.errors import ScenarioFailed
from agentkit.scenarios import (
    Cast,
    Checked,
    ScenarioFile,
    Stage,
    load_scenario,
    play,
    scenario_path,
    staged,
)


def demo(folder: Path, name: str, *, model: str | None, steps: bool, then_chat: bool) -> None:
    """Play a scenario on a stage of its own; exit with 1 if an expectation does not hold."""
    load_config(folder)
    file = load_scenario(scenario_path(folder, name))
    with staged(folder, file.scenario, Cast(generator=model, progress=BarProgress(err))) as stage:
        printer = EventPrinter(out, steps=steps)
        _play(file, stage, printer)
        if then_chat:
            out.print()
            user = file.scenario.user
            converse(stage.bot, user, stage.bot.agent.new_conversation(user=user), steps=steps)
    if printer.failed_checks:
        raise ScenarioFailed(
            f"{printer.failed_checks} expectations of the scenario {file.scenario.name!r} did not hold.",
            hint="They are marked ✗ above.",
        )


def _play(file: ScenarioFile, stage: Stage, printer: EventPrinter) -> None:
    scenario = file.scenario
    out.rule(Text(f"{stage.bot.config.name}: {scenario.name}", style="bold"))
    if scenario.description:
        out.print(Text(scenario.description, style="dim"))
    checked = 0
    for item in play(scenario, stage):
        printer.played(item)
        checked += isinstance(item, Checked)
    out.print()
    if checked and not printer.failed_checks:
        out.print(Text(f"All {checked} expectations of the scenario hold.", style="green"))
