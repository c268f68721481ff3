"""`python -m benchmarks.agentdojo`: AgentDojo's reference calls through the gate, as a table.

`dev/agentdojo_setup` makes the environment that AgentDojo runs in. Banking and slack are for development; travel and
workspace are measured before a release and not tuned to.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from agentkit.models import load_encoder
from benchmarks.agentdojo.measure import Counts, NearPlan, Planner, measure, no_plan, perfect_plan

_ROOT: Final = Path(__file__).resolve().parents[2]
_PYTHON: Final = _ROOT / ".venv-agentdojo" / "bin" / "python"


def main() -> None:
    """Record, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agentdojo", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--suites", default="banking,slack", help="names joined by commas; all: every suite")
    parser.add_argument("--python", type=Path, default=_PYTHON, help="the Python that has AgentDojo")
    parser.add_argument(
        "--recorded", type=Path, help="a file with the lines of record.py, instead of running it"
    )
    parser.add_argument(
        "--why", action="store_true", help="also list what was stopped in tasks and what passed"
    )
    parser.add_argument("--encoder", default="minilm-l6", help="finds the tools that are near to a prompt")
    options = parser.parse_args()
    suites = (
        ["banking", "slack", "travel", "workspace"] if options.suites == "all" else options.suites.split(",")
    )
    recorded = options.recorded
    text = record(options.python, suites) if recorded is None else recorded.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    console = Console()
    planners: dict[str, Planner] = {
        "without a plan": no_plan,
        "planning as the loop does without intents": NearPlan(load_encoder(options.encoder)),
        "with a perfect plan, as intents may make it": perfect_plan,
    }
    for how, planner in planners.items():
        counts = measure(lines, planner)
        total = Counts()
        for each in counts.values():
            total.add(each)
        console.print(table({**counts, "all": total}, how))
        if options.why:
            for line in (
                *(f"asked   {text}" for text in total.stops),
                *(f"passed  {text}" for text in total.passes),
            ):
                console.print(line, markup=False, highlight=False)


def record(python: Path, suites: list[str]) -> str:
    """Run the reference calls of some suites in AgentDojo's environment."""
    if not python.is_file():
        raise SystemExit(f"There is no {python}. Run dev/agentdojo_setup first.")
    command = [str(python), str(Path(__file__).with_name("record.py")), *suites]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def table(counts: dict[str, Counts], how: str) -> Table:
    """The figures of each suite."""
    shown = Table(title=f"AgentDojo v1.2.2 through the gate, {how}", title_justify="left")
    for column in (
        "suite",
        "tasks unasked",
        "(of them only reading)",
        "calls asked",
        "attack calls passed",
        "whole attacks passed",
        "not measurable",
    ):
        shown.add_column(column)
    for name, c in counts.items():
        shown.add_row(
            name,
            _share(c.tasks_unasked, c.tasks),
            str(c.tasks_reading),
            _share(c.task_calls_asked, c.task_calls),
            _share(c.attack_calls_passed, c.attack_calls),
            _share(c.attacks_passed, c.attacks),
            str(c.unmeasurable),
        )
    return shown


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}, {100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    main()
