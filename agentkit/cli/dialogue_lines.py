"""The events of a dialogue as one line each: a label and what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from pydantic import JsonValue

from agentkit.commands import Command
from agentkit.events import (
    CommandsUnderstood,
    ConfirmationAnswered,
    ConfirmationAsked,
    DialogueEvent,
    DialogueMoved,
    FlowEnded,
    FlowFailed,
    FlowStarted,
    HandOffQueued,
    PolicyRefused,
    SlotAsked,
    SlotRefused,
    SlotSet,
)


def dialogue_line(event: DialogueEvent) -> tuple[str, str] | None:
    """Label and text of an event; None for one that people need not see."""
    match event:
        case CommandsUnderstood(commands=commands, by=by):
            return "understood", f"{', '.join(map(command_text, commands)) or 'nothing'}  ({by})"
        case FlowStarted(flow=flow, depth=depth):
            return "flow", f"{flow} starts{f', {depth} wait below it' if depth else ''}"
        case FlowEnded(flow=flow, outcome=outcome):
            return "flow", f"{flow} ends: {outcome.replace('_', ' ')}"
        case SlotAsked(flow=flow, slot=slot, attempt=attempt):
            return "asks for", f"{slot} of {flow}{f', again ({attempt})' if attempt > 1 else ''}"
        case SlotSet(slot=slot, value=value, source=source, corrected=corrected):
            return "slot", f"{slot} = {value!r}  ({'corrected by ' if corrected else ''}{source})"
        case SlotRefused(slot=slot, value=value, reason=reason):
            return "slot", f"{slot} is not {value!r}: {reason}"
        case PolicyRefused(policy=policy, tool=tool):
            return "policy", f"{policy} stands against {tool}"
        case ConfirmationAsked(tool=tool, arguments=arguments):
            return "confirm?", f"{tool}({_arguments(arguments)})"
        case ConfirmationAnswered(tool=tool, answer=answer):
            return "confirm", f"{tool}: {answer}"
        case FlowFailed(flow=flow, step=step, error=error):
            return "failed", f"{flow}, {step}: {error}"
        case HandOffQueued(hand_off_id=hand_off_id, reason=reason):
            return "queued", f"for a person as {hand_off_id}: {reason}"
        case DialogueMoved():
            return None
        case other:
            assert_never(other)


def command_text(command: Command) -> str:
    """A command as `name(arguments)`."""
    return (
        f"{command.type}({_arguments(command.model_dump(exclude={'type', 'said'}, exclude_defaults=True))})"
    )


def _arguments(values: Mapping[str, JsonValue]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
