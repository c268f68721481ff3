"""Runs scenarios, each on a stage of its own, in one process or in several that load the models once each.

Weights are mapped files, so processes share them in memory. Threads cannot take the place of processes: the tools of a
bot read the environment and keep modules, which belong to a process.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from agentkit.bot import load_config
from agentkit.errors import AgentKitError
from agentkit.models import load_encoder, load_generator_lazily
from agentkit.scenarios.loading import ScenarioFile, check_names, known_names, load_scenario, name_of
from agentkit.scenarios.playing import Played, play
from agentkit.scenarios.replaying import replayed_cast
from agentkit.scenarios.results import Result, turns_of
from agentkit.scenarios.stage import Cast, staged


@dataclass(frozen=True)
class Plan:
    """How scenarios are run.

    Args:
        folder: The bot folder.
        model: Generator instead of the one in `agent.yaml`.
        replay: Models are not loaded: what they said is read from the recordings beside the scenarios.
    """

    folder: Path
    model: str | None = None
    replay: bool = False


class Company:
    """The models of one process, loaded for the first scenario and kept for the next ones.

    Args:
        plan: How scenarios are run.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cast: Cast | None = None

    def run(self, path: Path) -> Result:
        """Play one scenario and compare; what goes wrong in it is part of the result.

        Raises:
            Exception: A fault of agentkit or of a double.
        """
        started = time.perf_counter()
        name = name_of(self._plan.folder, path)
        played: list[Played] = []
        theme, error = "", ""
        try:
            file = load_scenario(path)
            theme = file.scenario.theme
            with staged(self._plan.folder, file.scenario, self._cast_for(file)) as stage:
                check_names(file, known_names(stage.bot))
                for item in play(file.scenario, stage):
                    played.append(item)
        except (AgentKitError, AssertionError) as problem:
            error = str(problem) or "".join(traceback.format_exception(problem))
        seconds = time.perf_counter() - started
        return Result(name=name, path=path, theme=theme, turns=turns_of(played), seconds=seconds, error=error)

    def _cast_for(self, file: ScenarioFile) -> Cast:
        if self._plan.replay:
            return replayed_cast(file)
        if self._cast is None:
            config = load_config(self._plan.folder)
            generator = load_generator_lazily(self._plan.model or config.generator)
            self._cast = Cast(generator=generator, encoder=load_encoder(config.encoder))
        return self._cast


def run_all(plan: Plan, paths: Sequence[Path], workers: int = 1) -> Iterator[Result]:
    """Run scenarios and yield each result when it is there.

    Args:
        plan: How they are run.
        paths: Their files.
        workers: Processes; with 1 everything stays in this one.
    """
    with _executor(plan, min(workers, len(paths))) as executor:
        futures: dict[Future[str], Path] = {executor.submit(_work, str(path)): path for path in paths}
        for future in as_completed(futures):
            path = futures[future]
            problem = future.exception()
            if problem is None:
                yield Result.model_validate_json(future.result())
            else:
                error = "".join(traceback.format_exception(problem))
                yield Result(name=name_of(plan.folder, path), path=path, error=error)


def _executor(plan: Plan, workers: int) -> Executor:
    if workers <= 1:
        return ThreadPoolExecutor(1, initializer=_start, initargs=(str(plan.folder), plan.model, plan.replay))
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),  # a fork would copy the locks of running threads
        initializer=_start,
        initargs=(str(plan.folder.resolve()), plan.model, plan.replay),
    )


_COMPANIES: list[Company] = []


def _start(folder: str, model: str | None, replay: bool) -> None:
    _COMPANIES[:] = [Company(Plan(Path(folder), model, replay))]


def _work(path: str) -> str:
    return _COMPANIES[0].run(Path(path)).model_dump_json()
