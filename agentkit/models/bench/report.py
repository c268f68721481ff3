"""What a run of the benchmark found: every measurement, and what was left out and why."""

from __future__ import annotations

from collections.abc import Iterator

from agentkit.messages import Value
from agentkit.models.bench.cases import FIGURES
from agentkit.models.bench.engine import AGENTKIT
from agentkit.models.bench.figures import Spread, ratio, spread


class Measurement(Value):
    """One figure of one engine in one round (from 0)."""

    engine: str
    round: int
    name: str
    value: float


class LeftOut(Value):
    """An engine that was not measured, or not in one case, and why."""

    engine: str
    why: str
    case: str = ""


class ModelReport(Value):
    """All about one model.

    Args:
        model: Its catalogue name.
        engines: Names of the engines and what they say of themselves (version, number format).
        measurements: In the order in which they were made.
        left_out: What is missing.
    """

    model: str
    engines: dict[str, str]
    measurements: tuple[Measurement, ...]
    left_out: tuple[LeftOut, ...] = ()

    def names(self) -> list[str]:
        """The figures that were measured, in the order of the table."""
        found = dict.fromkeys(one.name for one in self.measurements)
        fixed = list(FIGURES)
        calls = [name for name in found if name not in FIGURES]
        before = fixed.index("prefill")
        return [name for name in [*fixed[:before], *calls, *fixed[before:]] if name in found]

    def rounds(self, engine: str, name: str) -> list[float | None]:
        """The values of a figure, one a round; None where it was not measured."""
        values = {
            one.round: one.value for one in self.measurements if (one.engine, one.name) == (engine, name)
        }
        return [values.get(number) for number in range(1 + max(values, default=-1))]

    def spread(self, engine: str, name: str) -> Spread | None:
        """Median and extremes of a figure; None if it was not measured."""
        values = [value for value in self.rounds(engine, name) if value is not None]
        return spread(values) if values else None

    def ratio(self, peer: str, name: str) -> Spread | None:
        """agentkit's figure in multiples of the peer's."""
        return ratio(self.rounds(AGENTKIT, name), self.rounds(peer, name))


class SummaryLine(Value):
    """One cell of the table, for programs that read the JSON file."""

    model: str
    figure: str
    engine: str
    value: Spread
    ratio_of_agentkit: Spread | None = None


class Report(Value):
    """A run of the benchmark.

    Args:
        made: When, in ISO 8601.
        machine: What it ran on, as pairs of name and value.
        models: One report a model.
        not_installed: Peers that no model was measured with.
        summary: The cells of the table.
    """

    made: str
    machine: dict[str, str]
    models: tuple[ModelReport, ...]
    not_installed: tuple[LeftOut, ...] = ()
    summary: tuple[SummaryLine, ...] = ()


def summary_of(report: ModelReport) -> Iterator[SummaryLine]:
    """The cells of a model's table, line by line."""
    for name in report.names():
        for engine in report.engines:
            value = report.spread(engine, name)
            if value is None:
                continue
            compared = None if engine == AGENTKIT else report.ratio(engine, name)
            yield SummaryLine(
                model=report.model, figure=name, engine=engine, value=value, ratio_of_agentkit=compared
            )
