"""pytest collects the scenarios of bot folders: `pytest my_bot` runs what `agentkit test my_bot` runs.

A file is a scenario if it is YAML, lies below a folder `scenarios`, and that folder lies beside an `agent.yaml`. It is
collected where the bot is named, or something in it: the tests of a package that holds a bot need no weights. The
models are loaded once, for the first scenario; with pytest-xdist once in each worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from agentkit.scenarios.results import Result
    from agentkit.scenarios.running import Company

_COMPANIES: pytest.StashKey[dict[Path, Company]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `agentkit test` that make sense here."""
    group = parser.getgroup("agentkit", "scenarios of bots")
    group.addoption(
        "--agentkit-replay",
        action="store_true",
        help="take what models say from the recordings, without weights",
    )
    group.addoption("--agentkit-model", default=None, help="generator instead of the one in agent.yaml")
    group.addoption(
        "--agentkit-update",
        action="store_true",
        help="write the replies into the `bot:` lines of the scenarios",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A scenario file of a bot folder."""
    bot = _bot_of(file_path)
    if bot is None or not _is_named(bot, parent.config):
        return None
    return ScenarioModule.from_parent(parent, path=file_path, bot=bot)


def _is_named(bot: Path, config: pytest.Config) -> bool:
    """Whether the command line names the bot or something in it."""
    named = (Path(config.invocation_params.dir, each.partition("::")[0]).resolve() for each in config.args)
    return any(bot.resolve() in (path, *path.parents) for path in named)


def _bot_of(path: Path) -> Path | None:
    if path.suffix != ".yaml":
        return None
    for folder in path.parents:
        if folder.name == "scenarios" and (folder.parent / "agent.yaml").is_file():
            return folder.parent
    return None


class ScenarioModule(pytest.File):
    """A scenario file."""

    def __init__(self, *, bot: Path, **settings: Any) -> None:
        super().__init__(**settings)
        self._bot = bot

    def collect(self) -> Iterator[pytest.Item]:
        """The one scenario in it."""
        yield ScenarioItem.from_parent(self, name=self.path.stem, bot=self._bot)


class ScenarioItem(pytest.Item):
    """A scenario."""

    def __init__(self, *, bot: Path, **settings: Any) -> None:
        super().__init__(**settings)
        self._bot = bot

    def runtest(self) -> None:
        """Play it and compare.

        Raises:
            ScenarioDiffers: Something that it expects does not hold.
        """
        from agentkit.scenarios.updating import update_replies

        result = self._company().run(self.path)
        if self.config.getoption("--agentkit-update") and not result.error:
            update_replies(result)
        if not result.passed:
            raise ScenarioDiffers(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What was expected and what was found, without a traceback."""
        from agentkit.scenarios.results import explain

        if isinstance(excinfo.value, ScenarioDiffers):
            return "\n".join(explain(excinfo.value.result))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is and what it is called."""
        return self.path, None, f"scenario: {self.name}"

    def _company(self) -> Company:
        from agentkit.scenarios.running import Company, Plan

        companies = self.config.stash.setdefault(_COMPANIES, {})
        if self._bot not in companies:
            option = self.config.getoption
            companies[self._bot] = Company(
                Plan(self._bot, option("--agentkit-model"), bool(option("--agentkit-replay")))
            )
        return companies[self._bot]


class ScenarioDiffers(AssertionError):
    """A scenario did not go as its file says."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.name)
        self.result = result
