"""`agentkit doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import typer
from rich.text import Text

from agentkit.bot import load_config
from agentkit.bot.code import tools_of
from agentkit.bot.config import DEFAULT_ENCODER, DEFAULT_GENERATOR
from agentkit.bot.data import data_folder, database_of
from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err, out
from agentkit.errors import AgentKitError
from agentkit.models import model_summaries, verify_weights
from agentkit.models.paths import cache_folder
from agentkit.plugins import load_plugins
from agentkit.store.driver import sqlite_advice
from agentkit.store.recovery import recover
from agentkit.store.sqlite_store import SqliteStore

Verdict: TypeAlias = Literal["ok", "note", "bad"]
_MARKS = {"ok": ("✓", "green"), "note": ("·", "yellow"), "bad": ("✗", "red")}
_ROOM_NEEDED = 3_000_000_000  # bytes: download and conversion of the default models at once


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    text: str
    hint: str = ""


def recover_database(damaged: Path, new: Path | None) -> None:
    """Save what is readable of a damaged database into a new file, and say what that is."""
    report = recover(damaged, new or damaged.with_name(f"{damaged.stem}.recovered.db"))
    out.print(
        Text(f"✓ {damaged} was left as it is; what is readable of it is in {report.path}:"), soft_wrap=True
    )
    for table, rows in report.rows.items():
        lost = f"  ({report.gaps[table]} stretches could not be read)" if report.gaps[table] else ""
        out.print(Text(f"    {rows:>9,} {table}{lost}"), soft_wrap=True)
    if report.refused:
        out.print(
            Text(f"· {report.refused:,} rows hold what agentkit never writes and were left out", "yellow")
        )
    if report.torn:
        note = f"· {report.torn:,} turns lost a step: what was said is kept, their tool calls are not"
        out.print(Text(note, "yellow"), soft_wrap=True)


def doctor(bot: Path | None, *, deep: bool) -> None:
    """Print the findings; exit with 1 if something does not work."""
    looks: list[Callable[[], Iterator[Finding]]] = [_machine, _torch, _sqlite, _folders, _plugins]
    if bot is not None:
        looks.append(lambda: _bot(bot))
    looks.append(lambda: _models(deep))
    bad = 0
    for look in looks:
        for finding in look():
            bad += finding.verdict == "bad"
            mark, style = _MARKS[finding.verdict]
            out.print(Text.assemble((f"{mark} ", style), finding.text), soft_wrap=True)
            if finding.hint:
                out.print(Text(f"    → {finding.hint}", style="dim"), soft_wrap=True)
    if bad:
        raise typer.Exit(1)


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(
        "ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {cores} cores"
    )


def _torch() -> Iterator[Finding]:
    import torch

    name = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    capability = torch.backends.cpu.get_cpu_capability()
    yield Finding("ok", f"{name}, processor features up to {capability}")


def _sqlite() -> Iterator[Finding]:
    advice = sqlite_advice()
    yield Finding("ok" if advice.ok else "note", advice.message, advice.hint)


def _folders() -> Iterator[Finding]:
    for what, folder in (("models", cache_folder()), ("databases", data_folder())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
            writable = os.access(folder, os.W_OK)
        except OSError as problem:
            yield Finding(
                "bad",
                f"the folder of the {what}, {folder}: {problem.strerror}",
                "Set AGENTKIT_CACHE or AGENTKIT_DATA to a folder you may write to.",
            )
            continue
        if not writable:
            yield Finding(
                "bad",
                f"the folder of the {what}, {folder}, cannot be written",
                "Set AGENTKIT_CACHE or AGENTKIT_DATA to a folder you may write to.",
            )
        elif what == "models" and free < _ROOM_NEEDED:
            yield Finding(
                "note",
                f"{what} in {folder}: only {free / 1e9:.1f} GB free",
                "Fetching the default models needs about 3 GB for a while.",
            )
        else:
            yield Finding("ok", f"{what} in {folder}, {free / 1e9:.0f} GB free")


def _plugins() -> Iterator[Finding]:
    report = load_plugins()
    yield Finding("ok", f"{len(report.tools)} tools from plugins: {', '.join(report.tools)}")
    for broken in report.broken:
        yield Finding(
            "bad",
            f"the plugin {broken.name} is switched off: {broken.error.message}",
            "Upgrade or uninstall it.",
        )


def _models(deep: bool) -> Iterator[Finding]:
    for model in model_summaries():
        if not model.cached:
            wanted = model.name in (DEFAULT_GENERATOR, DEFAULT_ENCODER)
            yield Finding(
                "note",
                f"{model.name} is not fetched yet ({model.download_size / 1e6:,.0f} MB)",
                f"agentkit models pull {model.name}" if wanted else "",
            )
            continue
        problems = verify_weights(model.name, BarProgress(err)) if deep else ()
        for problem in problems:
            yield Finding(
                "bad", f"{model.name}: {problem}", f"Delete {model.folder} and pull the model again."
            )
        if not problems:
            yield Finding("ok", f"{model.name} in {model.folder}" + (", every hash is right" if deep else ""))


def _bot(folder: Path) -> Iterator[Finding]:
    try:
        config = load_config(folder)
        tools = tools_of(folder, config).own
        yield Finding("ok", f"{config.name}: agent.yaml is sound, {len(tools)} tools")
        path = database_of(folder)
        if path.is_file():
            store = SqliteStore.open(path)
            left = len(store.open_turns())
            store.close()
            verdict: Verdict = "note" if left else "ok"
            yield Finding(
                verdict,
                f"{path}: {left} turns wait to be finished",
                f"agentkit chat {folder}" if left else "",
            )
        else:
            yield Finding("ok", f"no conversations yet; they will be kept in {path}")
    except AgentKitError as problem:
        yield Finding("bad", problem.message, problem.hint)
    if sys.version_info >= (3, 14):
        yield Finding("note", "this Python is newer than what agentkit is tested with")
