"""Where a scenario is played: a copy of the bot folder with data, clock and ids of its own.

Nothing that a scenario does reaches the bot's real data or another scenario: its tools find the files of the copied
folder, `AGENTKIT_DATA` leads into the copy, the database is new. What is expensive and never changes is shared: the
models, and the caches of embedded texts and trained intents.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentkit.bot import Bot, load_config, open_bot
from agentkit.bot.code import run_setup
from agentkit.bot.data import data_folder
from agentkit.bot.load import Apart
from agentkit.errors import AgentKitError
from agentkit.scenarios.checks import Surroundings
from agentkit.scenarios.format import Scenario
from agentkit.scenarios.script import scripted
from agentkit.scenarios.stubs import StubbedToolset

if TYPE_CHECKING:
    from agentkit.models import Encoder, Generator
    from agentkit.models.progress import Progress

DATA_VARIABLE: Final = "AGENTKIT_DATA"
_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", ".git", ".venv", "recordings")


class StageClock:
    """A clock that stands still until it is moved, or the real one moved ahead.

    Args:
        start: What it shows; None: the real time.
    """

    def __init__(self, start: datetime | None) -> None:
        self._start = start
        self._moved = timedelta(0)

    def __call__(self) -> datetime:
        """The time, aware UTC."""
        return (self._start or datetime.now(UTC)) + self._moved

    def advance(self, span: timedelta) -> None:
        """Let time pass."""
        self._moved += span


class CountedIds:
    """Ids that are the same in every run, in the form of UUIDs, so that they sort by age."""

    def __init__(self) -> None:
        self._made = 0

    def __call__(self) -> str:
        """The next id."""
        self._made += 1
        return f"00000000-0000-7000-8000-{self._made:012x}"


@dataclass(frozen=True)
class Cast:
    """The models that play; None: those that the bot names, loaded for this stage alone.

    Args:
        generator: What writes: a loaded generator, or a reference.
        encoder: What embeds.
        progress: Told about downloads and indexing.
        own_caches: Nothing that was computed before is used: every text passes the encoder.
        started: What the clock shows first where the scenario does not say.
    """

    generator: Generator | str | None = None
    encoder: Encoder | str | None = None
    progress: Progress | None = None
    own_caches: bool = False
    started: datetime | None = None


@dataclass(frozen=True)
class Stage:
    """A bot that is ready to play one scenario.

    Args:
        bot: The opened bot.
        clock: Its clock.
        surroundings: What checks look at.
    """

    bot: Bot
    clock: StageClock
    surroundings: Surroundings = field(repr=False)


@contextmanager
def staged(folder: Path, scenario: Scenario, cast: Cast | None = None) -> Iterator[Stage]:
    """Set the stage for a scenario, and clear it away.

    Tools read `AGENTKIT_DATA`, so a process has one stage at a time.

    Raises:
        AgentKitError: The bot cannot be opened; the message names the files of `folder`, not of the copy.
    """
    cast = cast or Cast()
    caches = data_folder()
    before = os.environ.get(DATA_VARIABLE)
    with tempfile.TemporaryDirectory(prefix="agentkit-stage-") as place:
        copy = Path(place).resolve() / folder.resolve().name
        try:
            load_config(folder)
            shutil.copytree(folder, copy, ignore=_LEFT_OUT)
            os.environ[DATA_VARIABLE] = str(Path(place) / "data")
            with _naming(copy, folder):
                bot, clock = _open(copy, caches, scenario, cast)
            try:
                around = Surroundings(bot.encoder, bot.database, copy)
                yield Stage(bot, clock, around)
            finally:
                bot.close()
        finally:
            _forget_modules(Path(place).resolve())
            if before is None:
                os.environ.pop(DATA_VARIABLE, None)
            else:
                os.environ[DATA_VARIABLE] = before


def _open(copy: Path, caches: Path, scenario: Scenario, cast: Cast) -> tuple[Bot, StageClock]:
    config = load_config(copy)
    run_setup(copy, config.model_copy(update={"setup": scenario.setup}) if scenario.setup else config)
    clock = StageClock(scenario.starts() or cast.started)
    generator = scripted(scenario.generator) if scenario.generator is not None else cast.generator
    apart = Apart(
        caches=copy.parent / "caches" if cast.own_caches else caches,
        ids=CountedIds(),
        around=lambda toolset: StubbedToolset(toolset, scenario.stubs),
    )
    bot = open_bot(
        copy,
        generator=generator,
        encoder=cast.encoder,
        database=copy.parent / "conversations.db",
        progress=cast.progress,
        now=clock,
        apart=apart,
    )
    return bot, clock


@contextmanager
def _naming(copy: Path, folder: Path) -> Iterator[None]:
    """Errors about the copy speak of the folder that its author knows."""
    try:
        yield
    except AgentKitError as error:
        error.message = error.message.replace(str(copy), str(folder))
        error.hint = error.hint.replace(str(copy), str(folder))
        raise


def _forget_modules(place: Path) -> None:
    """The next copy of a bot loads its own tools, and what they import, again."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(place):
            del sys.modules[name]
