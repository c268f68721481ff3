"""The table of the benchmark, and what can be typed wrongly."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from agentkit.cli.bench import keep_report, plan_of, report_view
from agentkit.errors import ConfigurationError
from agentkit.models.bench import LeftOut, Plan, Report, measure
from tests.models.bench.scripted_engine import ScriptedEngine


@pytest.fixture
def report() -> Report:
    engines = {
        "agentkit": lambda _: ScriptedEngine("agentkit", 0.25),
        "peer": lambda _: ScriptedEngine("peer", 0.5),
        "broken": lambda _: ScriptedEngine("broken", fails_calls=True),
    }
    missing = LeftOut(engine="absent", why="not installed")
    return measure(Plan(["tiny"], ["a"], rounds=2), engines, not_installed=[missing])


def shown(report: Report) -> list[str]:
    console = Console(width=140, file=io.StringIO(), record=True)
    console.print(report_view(report))
    return console.export_text().splitlines()


def test_the_table_has_a_line_a_figure_and_the_ratio_below_the_peer(report: Report) -> None:
    lines = shown(report)
    (place,) = [number for number, line in enumerate(lines) if "(a) support turn" in line]
    assert "39.0 (39.0–39.0)" in lines[place]
    assert "78.0 (78.0–78.0)" in lines[place]
    assert "×0.500 (0.500–0.500)" in lines[place + 1]


def test_what_was_left_out_is_named_below_the_table(report: Report) -> None:
    lines = shown(report)
    assert "left out: broken, a support turn: it cannot call" in [line.strip() for line in lines]
    assert "left out: absent: not installed" in [line.strip() for line in lines]


def test_the_report_is_kept_as_json(report: Report, tmp_path: Path) -> None:
    keep_report(report, tmp_path / "results")
    text = (tmp_path / "results" / "report.json").read_text("utf-8")
    assert Report.model_validate_json(text) == report


def test_a_folder_that_cannot_be_written_is_named(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        keep_report(report, tmp_path / "file")


def test_lists_are_typed_with_commas() -> None:
    plan = plan_of(models="one, two", cases="a,b", rounds=2, calls="256,64")
    assert (plan.models, plan.cases, plan.marks) == (["one", "two"], ["a", "b"], [64, 256])


@pytest.mark.parametrize("calls", ["many", "0", "-5", "64;128"])
def test_numbers_of_calls_that_are_none_are_refused(calls: str) -> None:
    with pytest.raises(ConfigurationError, match="no list of numbers"):
        plan_of(models="m", cases="e", rounds=1, calls=calls)
