"""Runs the cases: round after round, case after case, engine after engine, so that all meet the same weather."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from agentkit.errors import AgentKitError, ConfigurationError
from agentkit.models.bench.cases import CALL_MARKS, CASES, Case, Setting
from agentkit.models.bench.desk import load_desk
from agentkit.models.bench.engine import AGENTKIT, Engine, OwnEngine
from agentkit.models.bench.report import LeftOut, Measurement, ModelReport, Report, summary_of
from agentkit.models.progress import Progress, Silent, task

LETTERS = tuple(dict.fromkeys(case.letter for case in CASES))


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Args:
        models: Catalogue names.
        cases: Letters of the cases.
        rounds: How often; cases that have many values in themselves run once.
        marks: After how many calls in a row the cost of a call is read (case e).
        patience: Seconds. A peer that takes longer for one case is measured in it once, not in every round, and its
            row of calls ends there. agentkit is always measured in full.
    """

    models: Sequence[str]
    cases: Sequence[str] = LETTERS
    rounds: int = 3
    marks: Sequence[int] = CALL_MARKS
    patience: float = 120.0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.cases) - set(LETTERS)):
            raise ConfigurationError(
                f"There is no case {', '.join(unknown)}.", hint=f"Cases: {', '.join(LETTERS)}."
            )


Opener = Callable[[str], Engine]
"""Starts an engine with a model; raises AgentKitError where that fails."""


def measure(
    plan: Plan,
    engines: Mapping[str, Opener] | None = None,
    *,
    not_installed: Sequence[LeftOut] = (),
    progress: Progress | None = None,
    keep: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Run a plan.

    Args:
        plan: What to measure.
        engines: Names of engines and how to start them; agentkit in this process if None.
        not_installed: Peers that cannot be started here; they are named in the report.
        progress: Told of every step.
        keep: Given what was found so far after every round, so that an interrupted run leaves something.

    Returns:
        The report. An engine that fails is left out of the case, or of the model if it does not start, and named.
    """
    openers = engines if engines is not None else {AGENTKIT: OwnEngine}
    bar = progress or Silent()
    done: list[ModelReport] = []

    def so_far(growing: ModelReport | None = None) -> Report:
        models = (*done, growing) if growing else tuple(done)
        return Report(
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=machine(),
            models=models,
            not_installed=tuple(not_installed),
            summary=tuple(line for model in models for line in summary_of(model)),
        )

    for model in plan.models:
        one = _Model(model, plan, bar, keep=lambda growing: keep(so_far(growing)))
        done.append(one.measure(openers))
    return so_far()


@dataclass
class _Model:
    """The measurements of one model as they grow."""

    model: str
    plan: Plan
    bar: Progress
    keep: Callable[[ModelReport], None]
    found: list[Measurement] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    finished: set[tuple[str, Case]] = field(default_factory=set)
    """Engines and cases that are not measured again: they failed, or they take too long."""

    def measure(self, openers: Mapping[str, Opener]) -> ModelReport:
        """Start the engines, run every round, end the engines."""
        engines = self._opened(openers)
        try:
            for number in range(self.plan.rounds):
                for case in CASES:
                    if case.letter in self.plan.cases and not (case.once and number):
                        self._round(case, number, engines)
                self.keep(self._report(engines))
            for engine in engines:
                if (peak := engine.peak_memory()) is not None:
                    self._add(engine, 0, {"memory": peak / 1e6})
        finally:
            for engine in engines:
                engine.close()
        return self._report(engines)

    def _report(self, engines: Sequence[Engine]) -> ModelReport:
        return ModelReport(
            model=self.model,
            engines={engine.name: engine.about for engine in engines},
            measurements=tuple(self.found),
            left_out=tuple(self.left_out),
        )

    def _opened(self, openers: Mapping[str, Opener]) -> list[Engine]:
        engines = []
        with task(self.bar, f"{self.model}: loading", len(openers), "engines"):
            for name, opener in openers.items():
                try:
                    engines.append(opener(self.model))
                except AgentKitError as error:
                    self.left_out.append(LeftOut(engine=name, why=error.message))
                self.bar.advance(1)
        return engines

    def _round(self, case: Case, number: int, engines: Sequence[Engine]) -> None:
        """One case, every engine; each round begins with another one."""
        first = number % len(engines) if engines else 0
        label = f"{self.model}: round {number + 1} of {self.plan.rounds}, {case.letter}: {case.title}"
        with task(self.bar, label, len(engines), "engines"):
            for engine in [*engines[first:], *engines[:first]]:
                if (engine.name, case) not in self.finished:
                    self._run(engine, case, number)
                self.bar.advance(1)

    def _run(self, engine: Engine, case: Case, number: int) -> None:
        setting = Setting(number, self.plan.marks, self.plan.patience)
        if engine.name == AGENTKIT:
            setting = replace(setting, patience=None)
        started = time.perf_counter()
        try:
            self._add(engine, number, case.run(engine, load_desk(), setting))
        except AgentKitError as error:
            self.left_out.append(LeftOut(engine=engine.name, case=case.title, why=error.message))
            self.finished.add((engine.name, case))
        if setting.patience is not None and time.perf_counter() - started > setting.patience:
            self.finished.add((engine.name, case))

    def _add(self, engine: Engine, number: int, figures: Mapping[str, float]) -> None:
        self.found += [
            Measurement(engine=engine.name, round=number, name=name, value=value)
            for name, value in figures.items()
        ]


def machine() -> dict[str, str]:
    """What the measurements depend on: processor, cores, load, system, Python."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "load at the end": f"{load:.1f}",
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
