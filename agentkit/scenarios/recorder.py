"""Makes recordings: plays a scenario with real models while everything they say is written down."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from agentkit.events import (
    Declined,
    Event,
    FlowStarted,
    HandedOff,
    IntentRecognised,
    Replied,
    SlotSet,
    ToolCallFinished,
    ToolCallStarted,
)
from agentkit.models import Encoder, Generator
from agentkit.scenarios.checks import Checked
from agentkit.scenarios.loading import ScenarioFile
from agentkit.scenarios.playing import Played, UserLine, play
from agentkit.scenarios.recording import Answer, Recording, Tape, recording_path, save
from agentkit.scenarios.replaying import replayed_cast
from agentkit.scenarios.stage import Cast, staged
from agentkit.scenarios.updating import yaml_text

_RUN_DEPENDENT: Final = frozenset(("milliseconds",))


@dataclass(frozen=True)
class Said:
    """One exchange of a conversation: what the user said and the events of the turn."""

    user: str
    events: Sequence[Event]


def record(folder: Path, file: ScenarioFile, generator: Generator, encoder: Encoder) -> list[Played]:
    """Play a scenario with real models, write its recording, and play it again from that.

    Args:
        folder: The bot folder.
        file: The scenario.
        generator: A real generator.
        encoder: A real encoder.

    Returns:
        What was played.

    Raises:
        RecordingMissed: The replay asked for something else than the recording: what the bot asks its models depends
            on something that is not the same in every run.
    """
    tape = Tape(generator, encoder)
    with staged(folder, file.scenario, tape_cast(tape)) as stage:
        started = stage.clock()
        played = list(play(file.scenario, stage))
    save(recording_path(file.path), tape.recording(started), tape.vectors)
    return played


def replay(folder: Path, file: ScenarioFile) -> list[Played]:
    """Play a scenario from its recording; no weights are needed.

    Raises:
        RecordingMissed: A model is asked for what was not recorded.
        BotFileError: There is no recording, or it is damaged.
    """
    with staged(folder, file.scenario, replayed_cast(file)) as stage:
        return list(play(file.scenario, stage))


def tape_cast(tape: Tape) -> Cast:
    """The models of a tape; every text passes the encoder, so that none is missing in the recording."""
    return Cast(generator=tape.generator, encoder=tape.encoder, own_caches=True)


def trace(played: Sequence[Played]) -> list[str]:
    """What happened, one line an event, without times: equal for a recording and its replay."""
    return [
        f"user: {item.text}" if isinstance(item, UserLine) else json.dumps(_plain(item), ensure_ascii=False)
        for item in played
        if not isinstance(item, Checked)
    ]


def _plain(event: Event) -> dict[str, Any]:
    return {k: v for k, v in event.model_dump(mode="json").items() if k not in _RUN_DEPENDENT}


def changes(before: Recording, after: Recording) -> Iterator[str]:
    """How what models said differs between two recordings of one scenario, as lines of a diff."""
    old, new = _spoken(before), _spoken(after)
    if before.generator != after.generator or before.encoder != after.encoder:
        yield f"models: {before.generator}, {before.encoder} → {after.generator}, {after.encoder}"
    yield from difflib.unified_diff(old, new, "recorded", "live", n=1, lineterm="")


def _spoken(recording: Recording) -> list[str]:
    """Every question to the generator by its last line, with the answer."""
    return [line for answers in recording.answers.values() for each in answers for line in _lines(each)]


def _lines(answer: Answer) -> Iterator[str]:
    yield f"{answer.kind} ▸ {answer.asked[-1]}"
    if answer.kind == "generate":
        yield from (f"  wrote ▸ {line}" for line in answer.text.splitlines() or [""])
    elif answer.kind == "choose":
        yield f"  log-probabilities ▸ {', '.join(f'{each:.3f}' for each in answer.log_probabilities)}"


def scenario_text(name: str, user: str, clock: datetime, said: Sequence[Said]) -> str:
    """A conversation as a scenario file: what was said, and what happened as expectations."""
    lines = [
        f"name: {yaml_text(name)}",
        "description: Recorded from a conversation.",
        f"user: {yaml_text(user)}",
    ]
    lines += [f"clock: {clock:%Y-%m-%dT%H:%M:%S}", "", "turns:"]
    for exchange in said:
        lines.append(f"  - user: {yaml_text(exchange.user, 4)}")
        replies = [event.text for event in exchange.events if isinstance(event, Replied)]
        if replies:
            lines.append(f"    bot: {yaml_text(replies[-1], 4)}")
        expected = list(_expectations(exchange.events))
        if expected:
            lines += ["    expect:", *(f"      {each}" for each in expected)]
        lines.append("")
    return "\n".join(lines)


def _expectations(events: Sequence[Event]) -> Iterator[str]:
    intents = [event.intent for event in events if isinstance(event, IntentRecognised)]
    if intents:
        yield f"intent: {json.dumps(intents[-1])}"
    flows = [event.flow for event in events if isinstance(event, FlowStarted)]
    if flows:
        yield f"flow_started: {json.dumps(flows)}"
    slots = {event.slot: event.value for event in events if isinstance(event, SlotSet)}
    if slots:
        yield f"slot_set: {json.dumps(slots, ensure_ascii=False)}"
    ended = {e.result.call_id: e.status for e in events if isinstance(e, ToolCallFinished)}
    calls = [
        {"name": e.call.name, "arguments": e.call.arguments}
        | ({"status": ended[e.call.id]} if ended.get(e.call.id, "ok") != "ok" else {})
        for e in events
        if isinstance(e, ToolCallStarted)
    ]
    if calls:
        yield f"tool_called: {json.dumps(calls, ensure_ascii=False)}"
    if any(isinstance(event, Declined) for event in events):
        yield "declined: true"
    if any(isinstance(event, HandedOff) for event in events):
        yield "handed_off: true"
