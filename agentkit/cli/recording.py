"""`agentkit record`."""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from agentkit.bot import load_config
from agentkit.cli.progress import BarProgress
from agentkit.cli.render import EventPrinter
from agentkit.cli.terminal import err, out
from agentkit.errors import BotFileError, ScenarioFailed
from agentkit.models import Encoder, Generator, load_encoder, load_generator_lazily
from agentkit.scenarios import Scenario, failures, load_scenario, scenario_path, staged
from agentkit.scenarios.format import Line
from agentkit.scenarios.loading import FOLDER, ScenarioFile
from agentkit.scenarios.recorder import Said, changes, record, replay, scenario_text, tape_cast, trace
from agentkit.scenarios.recording import Tape, load, recording_path, save


@dataclass(frozen=True)
class Recorded:
    """What to record.

    Args:
        folder: The bot folder.
        name: Name of the new scenario.
        source: An existing scenario to play instead of a conversation; may be the same.
        live: A recording that is there is made anew.
        user: Who is signed in in a conversation.
        model: Generator instead of the one in `agent.yaml`.
    """

    folder: Path
    name: str
    source: str | None
    live: bool
    user: str
    model: str | None


def record_scenario(wanted: Recorded) -> None:
    """Record a conversation or an existing scenario, then play it from the recording and compare."""
    config = load_config(wanted.folder)
    path = wanted.folder / FOLDER / f"{wanted.name}.yaml"
    if wanted.source is not None:
        source = scenario_path(wanted.folder, wanted.source)
        if source.resolve() != path.resolve() and not path.exists():
            path.write_bytes(source.read_bytes())
    elif path.exists():
        raise BotFileError(
            "there is such a scenario already", path=path, hint=f"Record that one: --from {wanted.name}"
        )
    target = recording_path(path)
    if target.exists() and not wanted.live:
        raise BotFileError(
            "there is a recording already", path=target, hint="--live makes it anew and shows what changed."
        )
    generator = load_generator_lazily(wanted.model or config.generator, progress=BarProgress(err))
    encoder = load_encoder(config.encoder, progress=BarProgress(err))
    if wanted.source is None:
        _converse(wanted, path, generator, encoder)
    else:
        _play(wanted, load_scenario(path), generator, encoder)


def _play(wanted: Recorded, file: ScenarioFile, generator: Generator, encoder: Encoder) -> None:
    target = recording_path(file.path)
    before = load(target)[0] if target.exists() else None
    played = record(wanted.folder, file, generator, encoder)
    printer = EventPrinter(out, steps=False)
    for item in played:
        printer.played(item)
    after, vectors = load(target)
    _summary(target, len(after.answers), len(vectors))
    if before is not None:
        changed = list(changes(before, after))
        out.print(Text("What models say has not changed." if not changed else "What changed:", style="bold"))
        for line in changed:
            out.print(Text(line, style={"-": "red", "+": "green"}.get(line[:1], "")), soft_wrap=True)
    _verify(wanted.folder, file, trace(played))
    if failed := failures(played):
        raise ScenarioFailed(
            f"{len(failed)} expectations did not hold; the recording was written all the same.",
            hint="They are marked ✗ above.",
        )


def _converse(wanted: Recorded, path: Path, generator: Generator, encoder: Encoder) -> None:
    """Talk, and write down both what is said and what the models say."""
    started = datetime.now(UTC).replace(microsecond=0)
    setting = Scenario(name=wanted.name, user=wanted.user, clock=started, turns=(Line(user="…"),))
    tape = Tape(generator, encoder)
    said: list[Said] = []
    with staged(wanted.folder, setting, tape_cast(tape)) as stage:
        agent = stage.bot.agent
        conversation = agent.new_conversation(user=wanted.user, title=wanted.name)
        if sys.stdin.isatty():
            out.print(Text("Talk to the bot; an empty line or Ctrl-D ends the recording.", style="dim"))
        printer = EventPrinter(out)
        while (text := _read()) is not None:
            events = []
            for event in agent.stream(text, user=wanted.user, conversation=conversation):
                printer.event(event)
                events.append(event)
            said.append(Said(text, events))
    if not said:
        raise ScenarioFailed("Nothing was said, so nothing was recorded.", hint="Type a message.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(scenario_text(wanted.name, wanted.user, started, said), encoding="utf-8")
    save(recording_path(path), tape.recording(started), tape.vectors)
    out.print(Text(f"{path}: {len(said)} lines", style="green"))
    _summary(recording_path(path), len(tape.answers), len(tape.vectors))
    events_before = [line for each in said for line in (f"user: {each.user}", *trace(each.events))]
    _verify(wanted.folder, load_scenario(path), events_before)


def _read() -> str | None:
    if sys.stdin.isatty():
        try:
            return input("you ▸ ").strip() or None
        except EOFError:
            return None
    for line in sys.stdin:
        if line.strip():
            return line.strip()
    return None


def _summary(path: Path, answers: int, vectors: int) -> None:
    size = sum(each.stat().st_size for each in (path, path.with_suffix(".safetensors")))
    out.print(Text(f"{path}: {answers} answers, {vectors} vectors, {size / 1e6:.1f} MB", style="green"))


def _verify(folder: Path, file: ScenarioFile, before: list[str]) -> None:
    """Play from the recording and compare every event.

    Raises:
        ScenarioFailed: The replay differs; shows where.
    """
    again = trace(replay(folder, file))
    if again != before:
        lines = list(difflib.unified_diff(before, again, "recorded", "replayed", n=0, lineterm=""))
        raise ScenarioFailed(
            "The replay differs from what was recorded:\n" + "\n".join(lines[:20]),
            hint="Something in the bot is not the same in every run: a clock, a random number, the network.",
        )
    out.print(Text("Played again from the recording: every event is the same.", style="green"))
