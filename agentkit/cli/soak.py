"""`agentkit soak`: kill agents again and again, and see whether anything was lost, torn, doubled or out of order."""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from agentkit.cli.terminal import err, out
from agentkit.errors import ConfigurationError
from agentkit.testing.soak import SoakPlan, SoakReport, run_soak


def soak(
    minutes: float, kill_every: float, seed: int, workers: int, folder: Path | None, *, as_json: bool
) -> None:
    """Run a soak and print what it found; exit with 1 if a promise was broken."""
    plan = SoakPlan(minutes=minutes, kill_every=kill_every, seed=seed, workers=workers)
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty.", hint="Name a folder that does not exist yet.")
    chosen = folder or Path(tempfile.mkdtemp(prefix="agentkit-soak-"))
    chosen.mkdir(parents=True, exist_ok=True)
    with err.status("") as status:
        report = run_soak(chosen, plan, lambda line: status.update(line))
    if as_json:
        out.print_json(report.model_dump_json())
    else:
        out.print(_table(report))
        for problem in report.broken:
            out.print(Text(f"✗ {problem}", style="red"), soft_wrap=True)
        out.print(Text(f"Database and ledgers are in {chosen}.", style="dim"), soft_wrap=True)
    if report.broken:
        raise typer.Exit(1)


def _table(report: SoakReport) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    rows = {
        "minutes": f"{report.minutes:g}",
        "kills": f"{report.kills}, {report.kills_at_points} of them at a crash point",
        "messages accepted": f"{report.accepted:,}",
        "turns": f"{report.turns:,}",
        "effects": f"{report.effects:,}",
        "promises broken": f"{len(report.broken):,}",
        "memory": f"{report.memory_slope:+.2f} MB a minute",
        "open files": "{} to {}".format(*report.descriptors),
        "write-ahead log": f"{report.largest_log:.1f} MB at most",
    }
    for name, value in rows.items():
        table.add_row(Text(name, style="dim"), value)
    return table
