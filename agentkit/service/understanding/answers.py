"""A message as the answer to what the bot asked: yes and no, values, "never mind", "what do you mean?"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from agentkit.commands import (
    Cancel,
    ChitChat,
    Clarify,
    Command,
    Confirm,
    CorrectSlot,
    Deny,
    HandOff,
    Repeat,
    SetSlot,
)
from agentkit.service.sketch import FlowSketch, SlotSketch
from agentkit.service.understanding.phrases import Cover, asks, cover
from agentkit.service.understanding.reading import Frame, Reading, read
from agentkit.service.understanding.situation import Situation
from agentkit.service.understanding.values import Candidate, cues_of, piece
from agentkit.service.understanding.words import lowered, words_of

_LEAD_IN: Final = re.compile(
    r"^\W*(?:(?:it|that|this|they|he|she)(?:'s|\s+is|\s+was|\s+are|'re)?\s+(?:called\s+|named\s+)?|i'm\s+|i\s+am\s+|"
    r"(?:the|my|our)\s+(?:new\s+)?(?P<cue>\w+)(?:\s+\w+)?\s+(?:is|are|was)(?:\s+called)?\s+|(?:in|at|to|near)\s+)",
)
_POLITE_END: Final = re.compile(
    r"(?<![\s,])[\s,]*(?:\b(?:please|pls|thanks|thank you)\b)?[\s.!,;]*$", re.IGNORECASE
)
_ON_CONDITION: Final = re.compile(
    r"\b(?:but|instead|if|unless|only|except|after|before|until|wait|hold|hang|moment|maybe|perhaps|later)\b"
)
_TAKES_BACK: Final = re.compile(
    r"^\W*(?:(?:sorry|oops|oh|i\s+mean|i\s+meant|i'm\s+sorry|my\s+mistake|correction)\b[\s,.:;!-]*|"
    r"(?:no|wait|actually)\s*[,.:;!-]+\s*)+(?:it(?:'s|\s+is)\s+)?"
)
_MOST_NAMED: Final = 6
"""Words of a value before which "it is" or "in" is no part of it."""


class Answer:
    """What a piece of a message says to the active flow.

    Args:
        situation: Where the message was said.
        text: The piece.
    """

    def __init__(self, situation: Situation, text: str) -> None:
        self.text = text
        self._situation = situation
        self._asked = situation.asked
        flow = _answered_flow(situation)
        self._flow = flow
        self.reading: Reading | None = None
        if flow is not None:
            asked = self._asked.name if self._asked is not None else None
            frame = Frame(situation.today, situation.language, asked, situation.filled)
            self.reading = read(text, flow, frame)
        places = self.reading.places if self.reading is not None else ()
        self.cover: Cover = cover(text, places, subject_of(flow))

    @property
    def explained(self) -> bool:
        """Every word is explained, and they say something."""
        if self.cover.left or not (commands := self.commands()):
            return False
        holds_a_value = any(isinstance(each, (SetSlot, CorrectSlot)) for each in commands)
        return not (holds_a_value and "cancel" in self.cover.meanings and not self._is_about_cancelling())

    @property
    def open(self) -> Mapping[str, tuple[Candidate, ...]]:
        """Slots with several values, none of which the words settle."""
        return self.reading.open if self.reading is not None else {}

    @property
    def gives_what_was_asked(self) -> bool:
        """Whether the piece holds a value of the slot that the bot asked for, or says that an earlier one is wrong."""
        return self.reading is not None and (
            any(each.slot == self._asked for each in self.reading.values) or self.corrects
        )

    @property
    def corrects(self) -> bool:
        """Whether the piece gives a settled slot another value and says so."""
        return (
            self.reading is not None
            and self.reading.corrects
            and any(isinstance(each, CorrectSlot) for each in self._values())
        )

    def commands(self) -> list[Command]:
        """What the piece says; nothing where it holds neither a value nor a phrase."""
        values = self._values()
        said = self.cover.meanings
        if "hand_off" in said:
            return [*values, HandOff(reason=self.text)]
        if values:
            return values  # a "yes" beside them is no consent: what was asked has changed with the value
        if "cancel" in said and self._situation.is_open and not self._means_what_the_flow_does():
            return [Deny() if self._confirming and "deny" in said and not self.cover.left else Cancel()]
        for meaning, command in (("repeat", Repeat()), ("clarify", Clarify())):
            if meaning in said:
                return [command]
        if self._confirming or self._asks_yes_or_no:
            if decided := self._yes_or_no(said):
                return decided
        elif "drop" in said:
            return [Cancel()]
        chat = [
            each
            for each in said
            if each == "abuse" or (each in ("thanks", "greeting") and not self.cover.left)
        ]
        if chat:
            return [ChitChat(intent=chat[0])]
        return []

    def free_text(self) -> list[Command]:
        """The whole piece as the value of the free text that was asked for."""
        slot = self._asked
        if slot is None or slot.type != "text" or slot.pattern:
            return []
        start, end = stripped(self.text, slot)
        taken_back = _TAKES_BACK.match(lowered(self.text))
        if taken_back is not None and words_of(self.text[taken_back.end() : end]):
            start = max(start, taken_back.end())
        said = self.text[start:end]
        if taken_back is not None and (earlier := self._resembled(said)):
            return [CorrectSlot(slot=earlier, value=said, said=said)]
        return [SetSlot(slot=slot.name, value=said, said=said)] if words_of(said) else []

    def _resembled(self, said: str) -> str | None:
        """The settled free text that words stand for anew: half of them are in it ("24 Hill Street")."""
        words = {word.text for word in words_of(said)}
        slots = self._flow.slots.values() if self._flow is not None else ()
        texts = [
            each.name for each in slots if each.type == "text" and not each.pattern and each != self._asked
        ]
        held = {name: str(self._situation.filled[name]) for name in texts if name in self._situation.filled}
        shared = {name: len(words & {word.text for word in words_of(value)}) for name, value in held.items()}
        best = max(shared, key=lambda name: shared[name], default=None)
        return best if best is not None and words and shared[best] * 2 >= len(words) else None

    @property
    def _confirming(self) -> bool:
        waiting = self._situation.awaiting
        return waiting is not None and waiting.expected == "confirmation"

    @property
    def _asks_yes_or_no(self) -> bool:
        return self._asked is not None and self._asked.type == "boolean"

    def _values(self) -> list[Command]:
        if self.reading is None or self._flow is None:
            return []
        filled = self._situation.filled
        return [
            self.given(each)
            for each in self.reading.values
            if each.slot == self._asked
            or each.slot.name not in filled
            or filled[each.slot.name] != each.value
        ]

    def given(self, candidate: Candidate) -> Command:
        """A value for a slot that was asked for or is open, or the correction of one that was settled."""
        name, said = candidate.slot.name, piece(self.text, candidate)
        if name in self._situation.filled and candidate.slot != self._asked:
            return CorrectSlot(slot=name, value=candidate.value, said=said)
        return SetSlot(slot=name, value=candidate.value, said=said)

    def _yes_or_no(self, said: Sequence[str]) -> list[Command]:
        no = not {"deny", "drop", "negation"}.isdisjoint(said)
        yes = "confirm" in said or (not said and self._repeats_the_subject())
        if yes and no:
            turned = said[0] in ("deny", "drop") or ("confirm", "negation") in pairwise(said)
            if not turned and (self._asked is None or said[-1] != "confirm"):
                return []  # "yes, not …"
            yes = not turned
        if self._asked is not None:
            known = yes or no
            return [SetSlot(slot=self._asked.name, value=yes, said=self.text.strip())] if known else []
        if yes and not self._is_a_plain_yes():
            return []
        return [Confirm()] if yes else [Deny()] if no else []

    def _is_a_plain_yes(self) -> bool:
        """Whether nothing stands beside the yes that was not understood, no condition and no question."""
        small = lowered(self.text)
        asking = asks(self.text) and "why not" not in small
        return not self.cover.left and not asking and not _ON_CONDITION.search(small)

    def _repeats_the_subject(self) -> bool:
        """Whether the piece only says what the question was about: "breakfast would be lovely", "cancel it"."""
        spoken_words = {word.text for word in words_of(self.text)}
        if self.cover.left:
            return False
        if self._asked is not None:
            return not words_in(self._asked.name).isdisjoint(spoken_words)
        return self._is_about_cancelling() and "cancel" in spoken_words

    def _means_what_the_flow_does(self) -> bool:
        """Whether "cancel" names the flow, as in "cancel order 1042": alone among other phrases it may not."""
        return self._is_about_cancelling() and "cancel" in {word.text for word in words_of(self.text)}

    def _is_about_cancelling(self) -> bool:
        """Whether "cancel" names what the flow does rather than its end."""
        return self._flow is not None and "cancel" in words_in(self._flow.name)


def _answered_flow(situation: Situation) -> FlowSketch | None:
    waiting = situation.awaiting
    if waiting is not None and waiting.flow is not None and waiting.flow in situation.flows:
        return situation.flows[waiting.flow]
    return situation.flow


def words_in(name: str) -> set[str]:
    """Words of the name of a flow or slot."""
    return set(name.lower().split("_"))


def subject_of(flow: FlowSketch | None) -> frozenset[str]:
    """Words that go without saying while a flow is active."""
    if flow is None:
        return frozenset()
    cues = (cues_of(slot) for slot in flow.slots.values())
    return frozenset(words_in(flow.name)).union(*cues)


def stripped(text: str, slot: SlotSketch) -> tuple[int, int]:
    """Where the value begins and ends in "it's called Amoxicillin 500, please"."""
    small = lowered(text)
    end = _POLITE_END.search(small)
    last = end.start() if end is not None else len(text)
    first = len(text) - len(text.lstrip(" \t\n.,:;-"))
    lead = _LEAD_IN.match(small)
    if lead is not None and len(words_of(text[lead.end() : last])) <= _MOST_NAMED:
        cue = lead["cue"]
        if (cue is None or cue in cues_of(slot)) and words_of(text[lead.end() : last]):
            first = lead.end()
    return first, max(first, last)


def settled(reading: Reading, text: str) -> list[Command]:
    """The values of a reading as commands for a flow that begins."""
    return [_set(each, text) for each in reading.values]


def _set(candidate: Candidate, text: str) -> SetSlot:
    return SetSlot(slot=candidate.slot.name, value=candidate.value, said=piece(text, candidate))
