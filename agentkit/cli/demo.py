"""`agentkit demo`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path

from rich.text import Text

from agentkit.agent import Agent
from agentkit.bot import Scenario, load_config, load_scenario, open_bot, play, scenario_path
from agentkit.bot.code import run_setup
from agentkit.bot.scenario import Checked
from agentkit.cli.chat import converse
from agentkit.cli.progress import BarProgress
from agentkit.cli.render import EventPrinter
from agentkit.cli.terminal import err, out
from agentkit.errors import ScenarioFailed


def demo(folder: Path, name: str, *, model: str | None, steps: bool, then_chat: bool) -> None:
    """Play a scenario on a fresh database; exit with 1 if an expectation does not hold."""
    config = load_config(folder)
    scenario = load_scenario(scenario_path(folder, name))
    run_setup(folder, config)
    with tempfile.TemporaryDirectory(prefix="agentkit-demo-") as scratch:
        bot = open_bot(
            folder,
            generator=model,
            database=Path(scratch) / "demo.db",
            progress=BarProgress(err),
            now=_clock(scenario.today),
        )
        try:
            printer = EventPrinter(out, steps=steps)
            _play(bot.config.name, scenario, bot.agent, printer)
            if then_chat:
                out.print()
                user = scenario.user
                converse(bot, user, bot.agent.new_conversation(user=user), steps=steps)
        finally:
            bot.close()
    if printer.failed_checks:
        raise ScenarioFailed(
            f"{printer.failed_checks} expectations of the scenario {scenario.name!r} did not hold.",
            hint="They are marked ✗ above.",
        )


def _play(bot_name: str, scenario: Scenario, agent: Agent, printer: EventPrinter) -> None:
    out.rule(Text(f"{bot_name}: {scenario.name}", style="bold"))
    if scenario.description:
        out.print(Text(scenario.description, style="dim"))
    checked = 0
    for item in play(scenario, agent):
        printer.played(item)
        checked += isinstance(item, Checked)
    out.print()
    if checked and not printer.failed_checks:
        out.print(Text(f"All {checked} expectations of the scenario hold.", style="green"))


def _clock(today: date | None) -> Callable[[], datetime]:
    if today is None:
        return lambda: datetime.now(UTC)
    noon = datetime.combine(today, time(12), UTC)
    return lambda: noon
