"""Settling values: whether one fits, what it replaces, and what has to be done again because of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from pydantic import JsonValue

from agentkit.events import ConfirmationAnswered, SlotRefused, SlotSet, SlotSource
from agentkit.service.flow import Slot
from agentkit.service.state import Frame
from agentkit.service.working import Pattern, Working

_LONGEST_VALUE: Final = 4_000  # characters; longer than any problem that a customer describes in a message


def misfit(slot: Slot, value: JsonValue, choices: Sequence[str] | None = None) -> str | None:
    """Why a value cannot be one of the slot; None if it can.

    Args:
        slot: The slot.
        value: The value.
        choices: The choices that were worked out for it, if they were.
    """
    match slot.type:
        case "text":
            if not isinstance(value, str) or not value.strip():
                return "it is no text"
            if len(value) > _LONGEST_VALUE:
                return f"it is longer than {_LONGEST_VALUE} characters"
            return "it does not match the pattern" if slot.pattern and not _matches(slot, value) else None
        case "choice":
            known = list(choices) if choices is not None else list(slot.names())
            is_open = choices is None and slot.choices_from is not None
            return None if is_open or value in known else "it is none of the choices"
        case "boolean":
            return None if isinstance(value, bool) else "it is neither yes nor no"
        case "integer":
            return None if isinstance(value, int) and not isinstance(value, bool) else "it is no whole number"
        case "number" | "amount":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return None if is_number else "it is no number"
        case "date":
            return None if isinstance(value, str) and _is_day(value) else "it is no date"


def _matches(slot: Slot, value: str) -> bool:
    return re.fullmatch(slot.pattern, value.strip()) is not None


def _is_day(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def settle(work: Working, frame: Frame, name: str, value: JsonValue, source: SlotSource = "user") -> bool:
    """Give a slot its value, and take back what rested on another one; whether it was accepted.

    A confirmation that is on the table or was given is void once a value changes: it was for another call.
    """
    slot = work.loaded(frame).flow.slots[name]
    if isinstance(value, str):
        value = value.strip()
    if (reason := misfit(slot, value, frame.choices.get(name))) is not None:
        refuse(work, frame, name, value, reason)
        return False
    if name in frame.slots and frame.slots[name] == value:
        return True
    corrected = name in frame.slots
    void(work, frame)
    frame.slots[name] = value
    frame.sources[name] = source
    frame.misses.pop(name, None)
    if name in frame.checked:
        frame.checked.remove(name)
    rewind(frame, name)
    work.events.append(SlotSet(flow=frame.flow, slot=name, value=value, source=source, corrected=corrected))
    return True


def refuse(work: Working, frame: Frame, name: str, value: JsonValue, reason: str) -> None:
    """A value was not accepted: say so before the slot is asked for again."""
    loaded = work.loaded(frame)
    slot = loaded.flow.slots[name]
    work.events.append(SlotRefused(flow=frame.flow, slot=name, value=value, reason=reason))
    choices: list[JsonValue] = [*(frame.choices.get(name) or slot.names())]
    given: dict[str, JsonValue] = {
        "slot": slot.description or name.replace("_", " "),
        "value": value,
        "choices": choices,
        "examples": list(slot.examples),
        "reason": "",
    }
    if slot.refused is not None:
        where = loaded.where(("slots", name, "refused"))
        given["reason"] = work.text(slot.refused, where, {**work.variables(frame), **given})
    work.todo.append(Pattern("pattern_not_accepted", given))


def void(work: Working, frame: Frame) -> None:
    """Take back a confirmation that is on the table or was given."""
    for planned in (*frame.planned, *frame.confirmed):
        work.events.append(ConfirmationAnswered(flow=frame.flow, tool=planned.tool, answer="void"))
    frame.planned.clear()
    frame.confirmed.clear()


def forget(frame: Frame, name: str) -> None:
    """Take a value away, so that it is asked for."""
    frame.slots.pop(name, None)
    frame.sources.pop(name, None)
    frame.collected.pop(name, None)
    if name in frame.checked:
        frame.checked.remove(name)


def rewind(frame: Frame, name: str) -> None:
    """Go back to where a slot was settled, without the results that came after it."""
    start = frame.collected.pop(name, None)
    if start is None or start > frame.at:
        return
    frame.at = start
    for result in [each for each, at in frame.made.items() if at >= start]:
        del frame.results[result]
        del frame.made[result]
    later = {each for each, at in frame.collected.items() if at >= start}
    frame.checked = [each for each in frame.checked if each not in later]
