"""Which of several values a user means: "not 1042 but 1190", "Tuesday, no, Thursday", "the 4th instead of the 3rd"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from agentkit.service.understanding.values import Candidate
from agentkit.service.understanding.words import lowered

_NOT_THIS: Final = re.compile(
    r"(?:\bnot|n't|n´t|\bnever(?:\s+said)?|\bcannot|\b(?:dont|isnt|wasnt|cant|wont)|\binstead\s+of|\brather\s+than|"
    r"\bthan|\bexcept(?:\s+for)?|\bother\s+than|\bno\s+longer|\bwithout|\breplace)"
    r"(?:\s+[\w#']+\.?){0,4}?\s*[#€$£(\"']*$"
)
"""What makes the value behind it one that is not meant; up to four words may stand between."""
_RULED_OUT: Final = re.compile(
    r"^\s*(?:(?:is|was|are|does|do|will|would)\s+(?:no\s+good|not|wrong|impossible|no\s+longer)|doesn't|won't|isn't)\b"
)
"""What behind a value says that it is not meant: "12 December is no good"."""
_FROM: Final = re.compile(r"\bfrom(?:\s+(?:the|order|number|room|on))*\s*[#€$£]*$")
_TAKES_BACK: Final = re.compile(
    r"\bsorry\b|\bi\s+mean|\bmeant\b|\bwait\b|\boops\b|\bcorrection\b|\brather\b|\bactually\b|\bscratch\b|\bmake\s+(?:it|that)\b|"
    r"[,.;:!…-]\s*no\b|\bno\s+no\b|\bbetter\b|\bmy\s+mistake\b|\btypo\b|\bshould\s+be\b|\bwrong\b"
)
"""What between two values makes the second one the value that is meant."""
_AND: Final = re.compile(
    r"\s*(?:,|and|&|\+|,\s*and|as well as|plus)\s*(?:also\s+)?(?:(?:order|booking|the|number|no|#)\.?\s*)*"
)
CORRECTS: Final = re.compile(
    _TAKES_BACK.pattern + r"|\binstead\b|\bchange\b|\bnot\b|^\s*no\b|\bmistake\b|\bmixed\s+up\b"
    r"|\b(?:new|right|other|correct)\s+(?:one|number)\b|\bold\b"
    r"|\bwas\s+wrong\b|\bbut\b"
)
"""What in a message says that an earlier value no longer holds."""


def meant(found: Sequence[Candidate], text: str, *, spans_a_range: bool = False) -> list[Candidate]:
    """Values of one slot without those that the user rules out or takes back, in their order.

    Args:
        found: Candidates of the slot, in the order of the message.
        text: The message.
        spans_a_range: Several slots are of this kind, so that "from … to …" gives two values.
    """
    small = lowered(text)
    live: list[Candidate] = []
    for number, each in enumerate(found):
        begin = found[number - 1].end if number else 0
        before = _clause(small[begin : each.start])
        end = found[number + 1].start if number + 1 < len(found) else len(small)
        if _NOT_THIS.search(before) or (len(found) > 1 and _RULED_OUT.match(small[each.end : end])):
            continue
        others = len(found) > 1
        if others and not spans_a_range and number + 1 < len(found) and _FROM.search(before):
            continue
        if live and _TAKES_BACK.search(small[live[-1].end : each.start]):
            live.pop()
        live.append(each)
    return [each for i, each in enumerate(live) if each.value not in [other.value for other in live[:i]]]


def are_listed(found: Sequence[Candidate], text: str) -> bool:
    """Whether values stand side by side as in "1042 and 2045": each is meant for itself."""
    small = lowered(text)
    return all(_AND.fullmatch(small[left.end : right.start]) for left, right in pairwise(found))


def _clause(before: str) -> str:
    """What stands before a value within its clause: a "not" of the clause before is none of this value."""
    before = re.sub(r"\b(any\w*(?:\s+\w+)?)\s+but\b", "except", before)
    return re.split(r"[,;:!?]|\.\s|\bbut\b|\bit's\b|\bits\b", before)[-1]
