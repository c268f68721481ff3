"""`make bench`: agentkit beside other programs, on the same weights, prompts and limits, in one run.

    make bench
    make bench BENCH="--models qwen2.5-coder-0.5b --cases a,b --rounds 3 --peers llama-cpp-python"

Every program runs in a process of its own (`benchmarks/peers/`) and is asked in turn. The peers live in the virtual
environment .venv-bench, which `dev/bench_setup` makes; a peer that is not in it, or does not load a model, is left
out and named. Writes report.json, report.txt (the table) and, where matplotlib is in .venv-bench, report.png into the
folder of --out. A slow peer is asked each case once: raise --patience to have it measured in every round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from rich.console import Console

from agentkit.bot.config import DEFAULT_GENERATOR
from agentkit.cli.bench import REPORT_FILE, keep_report, plan_of, report_view
from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err, out, show_error
from agentkit.errors import AgentKitError
from agentkit.models.bench import AGENTKIT, LeftOut, Opener, measure
from agentkit.models.catalogue import load_catalogue
from agentkit.models.fetch import fetch_gguf
from agentkit.models.resolve import resolve
from benchmarks.wire import Writer
from benchmarks.workers import ROOT, WorkerEngine

BENCH_PYTHON: Final = ROOT / ".venv-bench" / "bin" / "python"
TABLE_FILE: Final = "report.txt"
TABLE_WIDTH: Final = 180
"""Characters: a column for every peer, however narrow the terminal is."""


def gguf_weights(model: str) -> str:
    """The GGUF file of a model, as llama.cpp and OpenVINO read it."""
    return str(fetch_gguf(load_catalogue().entry(model), BarProgress(err)))


def unpacked_weights(model: str) -> str:
    """The folder of safetensors that agentkit unpacked from that file, as transformers reads it."""
    return str(resolve(model).path)


@dataclass(frozen=True)
class Peer:
    """A program to compare with.

    Args:
        name: Its package or program.
        module: What is imported to see whether it is there; empty for a program.
        worker: The module of benchmarks/peers that runs it.
        weights: The path that it is given for a model.
    """

    name: str
    module: str
    worker: str
    weights: Callable[[str], str]


PEERS: Final = (
    Peer("llama-cpp-python", "llama_cpp", "llama_cpp_peer", gguf_weights),
    Peer("llama-server", "", "llama_server_peer", gguf_weights),
    Peer("openvino-genai", "openvino_genai", "openvino_peer", gguf_weights),
    Peer("smolagents", "smolagents", "smolagents_peer", unpacked_weights),
)


def engines_of(peers: Sequence[Peer], python: Path) -> tuple[dict[str, Opener], list[LeftOut]]:
    """How to start agentkit and every peer that is installed, and the peers that are not.

    Args:
        peers: Who is wanted.
        python: The interpreter of the peers' environment.
    """
    openers: dict[str, Opener] = {AGENTKIT: _opener(AGENTKIT, Path(sys.executable), "agentkit_peer", str)}
    missing = []
    for peer in peers:
        if why := _why_missing(peer, python):
            missing.append(LeftOut(engine=peer.name, why=why))
        else:
            openers[peer.name] = _opener(peer.name, python, peer.worker, peer.weights)
    return openers, missing


def _why_missing(peer: Peer, python: Path) -> str:
    """Empty if the peer can be imported."""
    if not python.exists():
        return f"not installed: there is no {python.parent.parent.name}; `make bench` makes it"
    if not peer.module:
        places = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        return "" if shutil.which(peer.name, path=places) else "not installed: there is no such program"
    tried = subprocess.run([str(python), "-c", f"import {peer.module}"], capture_output=True, text=True)
    return f"not installed: {tried.stderr.strip().splitlines()[-1]}" if tried.returncode else ""


def _opener(name: str, python: Path, worker: str, weights: Callable[[str], str]) -> Opener:
    def start(model: str) -> WorkerEngine:
        command = [str(python), "-m", f"benchmarks.peers.{worker}", weights(model)]
        return WorkerEngine(name, command, _writer(model))

    return start


@cache
def _writer(model: str) -> Writer:
    return Writer.of_model(model)


def main() -> None:
    """Run the program."""
    arguments = _arguments()
    peers = [peer for peer in PEERS if peer.name in arguments.peers.split(",")]
    progress = BarProgress(err)
    try:
        plan = plan_of(
            models=arguments.models, cases=arguments.cases, rounds=arguments.rounds, calls=arguments.calls
        )
        plan = replace(plan, patience=arguments.patience)
        openers, missing = engines_of(peers, BENCH_PYTHON)
        for model in plan.models:
            resolve(model, progress)
            for peer in peers:
                if peer.name in openers:
                    peer.weights(model)
        report = measure(
            plan,
            openers,
            not_installed=missing,
            progress=progress,
            keep=lambda found: keep_report(found, arguments.out),
        )
        keep_report(report, arguments.out)
    except AgentKitError as error:
        show_error(error)
        sys.exit(2)
    out.print(report_view(report))
    with (arguments.out / TABLE_FILE).open("w", encoding="utf-8") as file:
        Console(file=file, width=TABLE_WIDTH, highlight=False).print(report_view(report))
    _plot(arguments.out)


def _plot(folder: Path) -> None:
    """Draw the report; matplotlib lives in the peers' environment."""
    if not BENCH_PYTHON.exists():
        return
    command = [str(BENCH_PYTHON), "-m", "benchmarks.plot", str(folder / REPORT_FILE)]
    drawn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = drawn.stdout if drawn.returncode == 0 else f"no plot: {drawn.stderr}"
    out.print(said.strip().splitlines()[-1], markup=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", default=DEFAULT_GENERATOR, help="catalogue names, joined by commas")
    parser.add_argument("--cases", default="a,b,c,d,e,f", help="see `agentkit bench --help`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", default="64,256,1024", help="case e: after how many calls to look")
    parser.add_argument("--peers", default=",".join(peer.name for peer in PEERS))
    parser.add_argument("--patience", type=float, default=120.0, help="seconds a peer may take for a case")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
