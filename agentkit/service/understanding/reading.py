"""Which slots of a flow a message fills: every value that it holds goes to the slot that it speaks of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from pydantic import JsonValue

from agentkit.memory.words import stem
from agentkit.service.sketch import FlowSketch, SlotSketch
from agentkit.service.understanding.repairs import CORRECTS, are_listed, meant
from agentkit.service.understanding.values import (
    Candidate,
    candidates_of,
    cues_of,
    names_a_day_or_money,
)
from agentkit.service.understanding.words import lowered, words_of

_BEFORE: Final = 6
_BEHIND: Final = 2
"""Words before and behind a value that may say which slot it is for ("order 1190", "4 guests")."""
_COUNTED: Final = frozenset(("us",))
"""Words that only follow a number: "four of us"."""
_RANGE: Final = re.compile(r"\s*(?:to|until|till|through|and|-|–|—)\s*(?:(?:on|the)\s+)*")
_UP_TO: Final = re.compile(r"\b(?:until|till|to|up\s+to|by)\s+(?:the\s+)?$")
_CUE, _ASKED, _OPEN, _CERTAIN, _SHAPED = 2, 5, 2, 2, 1
"""What speaks for a slot: a word beside the value (times its nearness), the question, no value yet, a value that can be
nothing else, a pattern."""


@dataclass(frozen=True)
class Reading:
    """What a message says about the slots of a flow.

    Args:
        values: One for each slot that it settles, in the order of the message.
        listed: Further values of a slot, each meant for itself ("cancel 1042 and 2045").
        open: Slots for which it holds several values and does not say which one is meant.
        places: Of all values, those that are ruled out too.
        corrects: The words say that something said before does not hold.
    """

    values: tuple[Candidate, ...]
    listed: tuple[Candidate, ...]
    open: Mapping[str, tuple[Candidate, ...]]
    places: tuple[tuple[int, int], ...]
    corrects: bool


@dataclass(frozen=True)
class Frame:
    """What a message is read with.

    Args:
        today: What days are counted from.
        language: See `Situation`.
        asked: The slot that the bot asked for, if it is one of the flow.
        filled: Slots that have a value.
    """

    today: date
    language: str = "en"
    asked: str | None = None
    filled: Mapping[str, JsonValue] | None = None


def read(text: str, flow: FlowSketch, frame: Frame) -> Reading:
    """Find the values of a message and the slot of each.

    Args:
        text: The message.
        flow: Whose slots they may be for.
        frame: What it is read with.
    """
    found = _trusted(text, flow, frame)
    by_slot: dict[str, list[Candidate]] = {}
    groups = _groups(found)
    for number, group in enumerate(groups):
        begin = groups[number - 1][0].end if number else 0
        end = groups[number + 1][0].start if number + 1 < len(groups) else len(text)
        chosen = _best(group, text, begin, end, frame, flow)
        if chosen is not None:
            by_slot.setdefault(chosen.slot.name, []).append(chosen)
    _in_pairs(by_slot, groups, text, flow)
    several = {slot.type for slot in flow.slots.values() if _alike(slot, flow) > 1}
    values: list[Candidate] = []
    listed: list[Candidate] = []
    open_: dict[str, tuple[Candidate, ...]] = {}
    for name, candidates in by_slot.items():
        live = meant(candidates, text, spans_a_range=candidates[0].slot.type in several)
        settled = (frame.filled or {}).get(name)
        live = [each for each in live if each.value != settled] or live
        if len(live) > 1 and live[0].doubtful:
            ends = [*(each.start for each in live[1:]), len(text)]
            begins = [0, *(each.end for each in live)]
            near = [_nearness(*each) for each in zip(live, [text] * len(live), begins, ends, strict=False)]
            live = [each for each, cue in zip(live, near, strict=True) if cue] or live
        if len(live) > 1 and not are_listed(live, text):
            open_[name] = tuple(live)
        else:
            values += live[:1]
            listed += live[1:]
    places = tuple((each.start, each.end) for candidates in by_slot.values() for each in candidates)
    in_order = tuple(sorted(values, key=lambda each: each.start))
    return Reading(in_order, tuple(listed), open_, places, bool(CORRECTS.search(lowered(text))))


def _trusted(text: str, flow: FlowSketch, frame: Frame) -> list[Candidate]:
    """All candidates except those that are part of a day or of an amount of money."""
    taken = names_a_day_or_money(text, frame.today, frame.language)
    found: list[Candidate] = []
    for slot in flow.slots.values():
        for each in candidates_of(slot, text, frame.today, frame.language):
            whole = (each.start, each.end) in taken or slot.type in ("date", "choice", "boolean")
            if whole or not any(start < each.end and each.start < end for start, end in taken):
                found.append(each)
    return found


def _groups(found: Sequence[Candidate]) -> list[list[Candidate]]:
    """Candidates by the words that they were read from; of longer and shorter readings the longer ones."""
    groups: list[list[Candidate]] = []
    for each in sorted(found, key=lambda c: (c.start, -c.end)):
        if groups and any(each.overlaps(other) for other in groups[-1]):
            if (each.start, each.end) == (groups[-1][0].start, groups[-1][0].end) or each.slot.name not in [
                other.slot.name for other in groups[-1]
            ]:
                groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _best(
    group: Sequence[Candidate], text: str, begin: int, end: int, frame: Frame, flow: FlowSketch
) -> Candidate | None:
    """The candidate whose slot the words speak of; None for a bare number that nothing claims."""
    filled = frame.filled or {}
    scored: list[tuple[int, int, Candidate]] = []
    for each in group:
        cue = _nearness(each, text, begin, end)
        asked = each.slot.name == frame.asked
        claimed = cue or asked or (_only_one(each.slot, flow) and CORRECTS.search(lowered(text)))
        if each.doubtful and not claimed:
            continue
        score = _CUE * cue + _ASKED * asked + _OPEN * (each.slot.name not in filled)
        score += _CERTAIN * (not each.doubtful) + _SHAPED * bool(each.slot.pattern)
        scored.append((score, each.end - each.start, each))
    if not scored:
        return None
    most = max(score for score, _, _ in scored)
    best = [each for score, _, each in scored if score == most]
    up_to = _UP_TO.search(lowered(text)[: best[0].start])
    return best[-1] if up_to and best[-1].slot.type == "date" else best[0]


def _nearness(candidate: Candidate, text: str, begin: int, end: int) -> int:
    """How near the words of a slot are to a value: 3 right beside it, 1 far before it, one more for a second word."""
    cues = {stem(word) for word in cues_of(candidate.slot)}
    before = [stem(word.text) for word in words_of(text[begin : candidate.start])][: -_BEFORE - 1 : -1]
    behind = [stem(word.text) for word in words_of(text[candidate.end : end])][:_BEHIND]
    near = [max(3 - i, 1) for i, word in enumerate(before) if word in cues and word not in _COUNTED]
    near += [_BEHIND - i for i, word in enumerate(behind) if word in cues]
    if candidate.slot.type == "integer" and "people" in cues_of(candidate.slot):
        near += [1] if before[:1] == ["for"] and not behind else []
    return max(near, default=0) + (len(near) > 1)


def _alike(slot: SlotSketch, flow: FlowSketch) -> int:
    """Slots of the flow that take the same values."""
    return sum((each.type, each.pattern) == (slot.type, slot.pattern) for each in flow.slots.values())


def _only_one(slot: SlotSketch, flow: FlowSketch) -> bool:
    """Whether a bare number can be for no other slot of the flow."""
    return sum(each.type in ("integer", "number", "amount") for each in flow.slots.values()) == 1


def _in_pairs(
    by_slot: dict[str, list[Candidate]], groups: Sequence[Sequence[Candidate]], text: str, flow: FlowSketch
) -> None:
    """ "From 3 to 5 December" fills the two slots for days of a flow in their order."""
    small = lowered(text)
    for left, right in pairwise(groups):
        between = small[left[0].end : right[0].start]
        kinds = [each.slot for each in left if each.slot in [other.slot for other in right]]
        if len(kinds) < 2 or not _RANGE.fullmatch(between):
            continue
        if "and" in between and "between" not in small[: left[0].start]:
            continue
        first, second = kinds[0], kinds[1]
        places = {(left[0].start, left[0].end), (right[0].start, right[0].end)}
        for name in list(by_slot):
            by_slot[name] = [each for each in by_slot[name] if (each.start, each.end) not in places]
            if not by_slot[name]:
                del by_slot[name]
        by_slot.setdefault(first.name, []).append(next(each for each in left if each.slot == first))
        by_slot.setdefault(second.name, []).append(next(each for each in right if each.slot == second))
