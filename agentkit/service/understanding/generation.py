"""What the generator decides: one of a few meanings, or which words of a message are a free text.

Both are closed: the grammar of a meaning holds the names in question and nothing else, the grammar of a text holds the
runs of words of the message and nothing else. Whatever the weights are, what was not said cannot come out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agentkit.errors import ConstraintError, ContextOverflow, ModelError
from agentkit.messages import user
from agentkit.models.protocols import GenerationRequest, Grammar
from agentkit.prompts import PromptLibrary
from agentkit.service.sketch import SlotSketch
from agentkit.service.understanding.situation import Ask
from agentkit.service.understanding.words import words_of

NONE: Final = "none"
_HANGING: Final = re.compile(r"(?:[\s,;]|\b(?:in|at|on|of|from|to|and))+$")
_LEADING: Final = re.compile(r"(?:[\s,;]|(?:in|at|on|of|from|to|and)\b)+")
_SHOWN: Final = 600
"""Characters of a message that the generator reads."""
_MOST_TOKENS: Final = 64
_OWN_WORDS: Final = 3
"""Words that a free text has beside a value that belongs to another slot."""


@dataclass(frozen=True)
class Decider:
    """Asks the generator.

    Args:
        ask: Runs one generation; what it raises because the model cannot is no decision.
        prompts: Where the words around the message come from.
    """

    ask: Ask
    prompts: PromptLibrary

    def meaning(self, text: str, meanings: Mapping[str, str], asked: str = "") -> str | None:
        """Which of several meanings a message has.

        Args:
            text: The message.
            meanings: Names and what each is.
            asked: What the bot asked before.

        Returns:
            The name; None where none fits.
        """
        case = self.prompts.render(
            "understand_meaning_case",
            text=_one_line(text),
            asked=_one_line(asked),
            meanings=[{"name": name, "description": what} for name, what in meanings.items()],
        )
        grammar = "start: " + " | ".join(json.dumps(name, ensure_ascii=False) for name in (*meanings, NONE))
        chosen = self._written("understand_meaning", case, grammar)
        return chosen if chosen in meanings else None

    def value(
        self, text: str, slot: SlotSketch, taken: Sequence[tuple[int, int]] = ()
    ) -> tuple[int, int] | None:
        """Where a message says a free text.

        Args:
            text: The message.
            slot: Whose value it is.
            taken: Places of other values, which are no part of it unless more stands around them.

        Returns:
            Its place; None where the message does not say it.
        """
        shown = text[:_SHOWN]
        wanted = slot.description or slot.name.replace("_", " ")
        case = self.prompts.render(
            "understand_value_case", text=shown, wanted=wanted, examples=list(slot.examples[:2])
        )
        values = [json.dumps(text[start:end], ensure_ascii=False) for start, end in taken]
        others = f" & ~({' | '.join(values)})" if values else ""
        words = json.dumps({"substring_words": shown})
        grammar = f'start: "{NONE}" | "\\"" WORDS "\\""\nWORDS: RUN{others}\nRUN: %regex {words}\n'
        written = self._written("understand_value", case, grammar)
        said = written.removeprefix('"').removesuffix('"').strip(" \t\n,.;:")
        at = text.find(said)
        if written == NONE or at < 0 or not words_of(said):
            return None
        place = _beside(taken, text, at, at + len(said))
        return place if place is not None and _says_enough(text, place, slot, taken) else None

    def _written(self, prompt: str, case: str, grammar: str) -> str:
        examples = self.prompts.conversation(prompt)
        request = GenerationRequest(
            (*examples, user(case.strip())),
            constraint=Grammar(grammar),
            max_tokens=_MOST_TOKENS,
            static=len(examples),
        )
        try:
            return self.ask(request).strip()
        except (ConstraintError, ContextOverflow, ModelError):
            return NONE  # the bot asks again: no turn fails because its message was not understood


def _beside(taken: Sequence[tuple[int, int]], text: str, start: int, end: int) -> tuple[int, int] | None:
    """A place without the values that it begins or ends with: of "3309 to 22 Park Avenue" the street."""
    for first, last in taken:
        if first <= start < last:
            hanging = _LEADING.match(text[last:end])
            start = last + (hanging.end() if hanging is not None else 0)
        if first < end <= last:
            end = start + len(_HANGING.sub("", text[start:first]))
    return (start, end) if words_of(text[start:end]) else None


def _says_enough(
    text: str, place: tuple[int, int], slot: SlotSketch, taken: Sequence[tuple[int, int]]
) -> bool:
    """Whether words can be a value of the slot: a small model takes words of the request itself where there is none.

    What all examples have, a number or a name in capitals, a value has too. Around a value of another slot it says a
    few words of its own.
    """
    start, end = place
    words = words_of(text)
    inside = [word for word in words if start <= word.start and word.end <= end]
    if slot.examples and all(_has_digit(each) for each in slot.examples) and not _has_digit(text[start:end]):
        return False
    named = [word for word in inside if text[word.start].isupper() and word.text != "i" and word != words[0]]
    if slot.examples and all(each[:1].isupper() for each in slot.examples) and not named:
        return False
    within = [each for each in taken if start < each[1] and each[0] < end]
    own = [
        word for word in inside if not any(first < word.end and word.start < last for first, last in within)
    ]
    return not within or len(own) >= _OWN_WORDS


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def without_each_other(text: str, places: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Free texts of one message without the one that ends another: "7 Quay Street in Galway" and "Galway"."""
    found: dict[str, tuple[int, int]] = {}
    for name, (start, end) in places.items():
        inner = [
            other for key, other in places.items() if key != name and start < other[0] and other[1] == end
        ]
        last = min((other[0] for other in inner), default=end)
        kept = _HANGING.sub("", text[start:last]) if inner else text[start:end]
        if (start, end) not in found.values():
            found[name] = (start, start + len(kept))
    return found


def _one_line(text: str) -> str:
    return " ".join(text[:_SHOWN].split())
