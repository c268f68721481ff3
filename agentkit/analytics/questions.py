"""Questions of one meaning, put together.

A question belongs to another where their cosine is high enough; the one with the most such neighbours makes the first
group, with all of them, then the rest likewise (the "community detection" of sentence-transformers' utilities).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy
from numpy.typing import NDArray

from agentkit.analytics.report import QuestionGroup
from agentkit.models.protocols import Encoder

SIMILAR: Final = 0.6
"""Cosine from which two questions ask the same; see dev/log.md."""

_MOST: Final = 4_000  # questions that are grouped: their matrix takes 64 MB
_SHOWN: Final = 8  # of a group
_LONGEST: Final = 500  # characters that are read of a question


@dataclass(frozen=True)
class Asked:
    """A question that was not answered, and when it was asked."""

    text: str
    at: datetime


def grouped(questions: Sequence[Asked], encoder: Encoder, similar: float = SIMILAR) -> list[QuestionGroup]:
    """Groups of questions, the largest first.

    Args:
        questions: At most the newest 4,000 are looked at.
        encoder: Embeds them.
        similar: Cosine from which two belong together.
    """
    newest = [each for each in questions if each.text.strip()][-_MOST:]
    if not newest:
        return []
    vectors = encoder.encode([each.text[:_LONGEST] for each in newest])  # float32 [n, dimension], length 1
    cosines = vectors @ vectors.T
    near = cosines >= similar
    numpy.fill_diagonal(near, val=True)
    free = numpy.ones(len(newest), dtype=bool)
    groups = []
    while free.any():
        counts = (near & free).sum(axis=1) * free
        seed = int(counts.argmax())
        members = numpy.flatnonzero(near[seed] & free)
        free[members] = False
        groups.append(_group(newest, members, cosines))
    return sorted(groups, key=lambda group: (-group.count, group.example))


def ungrouped(questions: Sequence[Asked]) -> list[QuestionGroup]:
    """The same words make one group: what can be said without an encoder."""
    times: dict[str, list[datetime]] = {}
    for each in questions:
        if each.text.strip():
            times.setdefault(_one_line(each.text), []).append(each.at)
    groups = [
        QuestionGroup(example=text, count=len(at), questions=(text,), last=max(at))
        for text, at in times.items()
    ]
    return sorted(groups, key=lambda group: (-group.count, group.example))


def _group(
    questions: Sequence[Asked], members: NDArray[numpy.intp], cosines: NDArray[numpy.float32]
) -> QuestionGroup:
    nearest = members[int(cosines[numpy.ix_(members, members)].sum(axis=1).argmax())]
    example = _one_line(questions[nearest].text)
    others = dict.fromkeys(_one_line(questions[each].text) for each in members)
    return QuestionGroup(
        example=example,
        count=len(members),
        questions=tuple([example, *(text for text in others if text != example)][:_SHOWN]),
        last=max(questions[each].at for each in members),
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
