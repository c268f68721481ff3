"""`agentkit demo`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.text import Text

from agentkit.bot import load_config
from agentkit.cli.chat import converse
from agentkit.cli.exports import Pace, check_export, export, screenplay
from agentkit.cli.keys import read_key
from agentkit.cli.progress import BarProgress
from agentkit.cli.render import EventPrinter
from agentkit.cli.terminal import err, out
from agentkit.errors import ScenarioFailed
from agentkit.events import Replied
from agentkit.scenarios import (
    Cast,
    Checked,
    Played,
    ScenarioFile,
    Stage,
    UserLine,
    check_names,
    known_names,
    load_scenario,
    play,
    replayed_cast,
    scenario_path,
    staged,
)

_KEYS: Final = "space or Enter: on  ·  i: inner steps on or off  ·  a: play the rest  ·  q: end"


@dataclass(frozen=True)
class Show:
    """How a demo is shown.

    Args:
        model: Generator instead of the one in `agent.yaml`.
        replay: Models are not loaded: what they said is read from the recording.
        steps: Inner steps are shown.
        pace: How quick it is.
        wait_for_key: Wait for a key before every line.
        then_chat: Go on chatting afterwards.
        exports: Files to write.
    """

    model: str | None = None
    replay: bool = False
    steps: bool = True
    pace: Pace = Pace(typing=0.0, pauses=0.0)  # noqa: RUF009  # frozen
    wait_for_key: bool = False
    then_chat: bool = False
    exports: tuple[Path, ...] = ()


def demo(folder: Path, name: str, show: Show) -> None:
    """Play a scenario on a stage of its own; exit with 1 if an expectation does not hold."""
    for path in show.exports:
        check_export(path)
    load_config(folder)
    file = load_scenario(scenario_path(folder, name))
    cast = replayed_cast(file) if show.replay else Cast(generator=show.model, progress=BarProgress(err))
    with staged(folder, file.scenario, cast) as stage:
        check_names(file, known_names(stage.bot))
        printer = EventPrinter(out, steps=show.steps)
        played = _play(file, stage, printer, show)
        for path in show.exports:
            bot = stage.bot.config.name
            pace = show.pace if show.pace.typing else Pace()
            export(screenplay(bot, file.scenario, played, pace), path, steps=show.steps)
            out.print(Text(f"{path} written", style="dim"))
        if show.then_chat:
            out.print()
            user = file.scenario.user
            converse(stage.bot, user, stage.bot.agent.new_conversation(user=user), steps=show.steps)
    if printer.failed_checks:
        raise ScenarioFailed(
            f"{printer.failed_checks} expectations of the scenario {file.scenario.name!r} did not hold.",
            hint="They are marked ✗ above.",
        )


def _play(file: ScenarioFile, stage: Stage, printer: EventPrinter, show: Show) -> list[Played]:
    scenario = file.scenario
    out.rule(Text(f"{stage.bot.config.name}: {scenario.name}", style="bold"))
    if scenario.description:
        out.print(Text(scenario.description, style="dim"))
    keys = _Keys(printer, on=show.wait_for_key and sys.stdin.isatty())
    played: list[Played] = []
    for item in play(scenario, stage):
        if isinstance(item, UserLine):
            if not keys.go_on():
                return played
            time.sleep(show.pace.before(item))
            _type(item, printer, show.pace)
        else:
            printer.played(item)
        if isinstance(item, Replied):
            time.sleep(show.pace.reading(item.text))
        played.append(item)
    out.print()
    checked = sum(isinstance(item, Checked) for item in played)
    if checked and not printer.failed_checks:
        out.print(Text(f"All {checked} expectations of the scenario hold.", style="green"))
    return played


def _type(line: UserLine, printer: EventPrinter, pace: Pace) -> None:
    """Show a user line, character by character where the output is a terminal."""
    if not (pace.typing and out.is_terminal):
        printer.played(line)
        return
    printer.before(line)
    out.print(Text("you ▸ ", style="bold cyan"), end="")
    for character in line.text:
        out.print(Text(character), end="", soft_wrap=True)
        time.sleep(1 / pace.typing)
    out.print()


class _Keys:
    """Waits for a key before every line, where that is wished.

    Args:
        printer: Shows or hides inner steps.
        on: Whether to wait.
    """

    def __init__(self, printer: EventPrinter, *, on: bool) -> None:
        self._printer = printer
        self._on = on
        if on:
            out.print(Text(_KEYS, style="dim"))

    def go_on(self) -> bool:
        """Wait; False: the demo is over."""
        while self._on:
            match read_key():
                case "i":
                    self._printer.steps = not self._printer.steps
                    out.print(
                        Text(f"Inner steps are {'shown' if self._printer.steps else 'hidden'}.", style="dim")
                    )
                case "a":
                    self._on = False
                case "q" | "":
                    return False
                case " " | "\n" | "\r":
                    return True
        return True
