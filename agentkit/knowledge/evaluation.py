"""Measuring grounded answers: cases of evidence and a question, the reply to each, and how many were right.

A case is a JSON object on a line; `must` are strings that a right answer contains (upper and lower case count):

    {"id", "evidence": [text], "question", "answerable": bool, "must": [text]}
"""

from __future__ import annotations

import json
import statistics
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field, ValidationError

from agentkit.errors import BotFileError
from agentkit.events import AnswerabilityJudged
from agentkit.knowledge.answering import Evidence, Writing, answer_from_evidence
from agentkit.knowledge.grounding import unsupported
from agentkit.knowledge.passages import readable
from agentkit.messages import Value

if TYPE_CHECKING:
    from agentkit.knowledge.answerability import Judge
    from agentkit.models.protocols import Encoder, Generator
    from agentkit.prompts import PromptLibrary


class GroundingCase(Value):
    """One case.

    Args:
        id: Identifies it; unique in its file.
        evidence: What was found.
        question: In a user's words.
        answerable: Whether the evidence answers the question.
        must: Strings that a right answer contains.
    """

    model_config = ConfigDict(strict=True)

    id: str
    evidence: tuple[str, ...]
    question: str = Field(min_length=1)
    answerable: bool
    must: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroundingPrediction:
    """What was said about a case.

    Args:
        id: The case's.
        reply: The reply.
        declined: It is a refusal.
        probability: The judge's probability that the evidence answers the question.
        milliseconds: From the evidence to the reply.
        judge: Who decided, as `AnswerabilityJudged` names it.
    """

    id: str
    reply: str
    declined: bool
    probability: float
    milliseconds: float
    judge: str = "encoder"

    def to_json(self) -> str:
        """`{"id", "reply", "declined"}` as one line."""
        line = {"id": self.id, "reply": self.reply, "declined": self.declined}
        return json.dumps(line, ensure_ascii=False)


@dataclass(frozen=True)
class GroundingSummary:
    """The figures of a file.

    Args:
        answerable: Cases that can be answered.
        right: Those of them whose reply is no refusal and contains everything that it must.
        wrongly_declined: Those of them that were declined.
        unanswerable: Cases that cannot be answered.
        declined: Those of them that were declined.
        invented: Replies that state something that their evidence does not support.
        median_milliseconds: Median time from the evidence to the reply.
        asked: Cases in which the generator was asked.
        area: How well the probability tells one kind of case from the other: area under the ROC curve, None where
            there is only one kind.
    """

    answerable: int
    right: int
    wrongly_declined: int
    unanswerable: int
    declined: int
    invented: int
    median_milliseconds: float
    asked: int
    area: float | None


def read_grounding_cases(path: Path) -> list[GroundingCase]:
    """The cases of a JSON Lines file; empty lines are skipped.

    Raises:
        BotFileError: The file cannot be read, holds no case, or a line is no case; names file, line and field.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise BotFileError(
            f"cannot be read: {problem}", path=path, hint="Name a JSON Lines file in UTF-8."
        ) from problem
    cases: list[GroundingCase] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        case = _case(line, path, number)
        if case.id in seen:
            raise BotFileError(
                f"{case.id!r} is the id of line {seen[case.id]} too",
                path=path,
                line=number,
                field="id",
                hint="Give every case an id of its own.",
            )
        seen[case.id] = number
        cases.append(case)
    if not cases:
        raise BotFileError("holds no case", path=path, hint=_FORM)
    return cases


_FORM = 'A case is {"id", "evidence": [text], "question", "answerable": true or false, "must": [text]}.'


def _case(line: str, path: Path, number: int) -> GroundingCase:
    try:
        return GroundingCase.model_validate_json(line)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BotFileError(first["msg"], path=path, line=number, field=field or None, hint=_FORM) from problem


def evaluate_grounding(
    cases: Iterable[GroundingCase],
    *,
    generator: Generator | None,
    encoder: Encoder,
    judge: Judge,
    prompts: PromptLibrary,
    writing: Writing = "quoted",
) -> Iterator[GroundingPrediction]:
    """Answer each case by the path that a conversation takes once its evidence is found.

    Args:
        cases: The cases.
        generator: As for `answer_from_evidence`.
        encoder: As for `answer_from_evidence`.
        judge: As for `answer_from_evidence`.
        prompts: As for `answer_from_evidence`.
        writing: As for `answer_from_evidence`.

    Raises:
        ContextOverflow: A case does not fit the generator's context window.
    """
    for case in cases:
        started = time.perf_counter()
        answer = answer_from_evidence(
            case.question,
            [Evidence(text, f"evidence {number}") for number, text in enumerate(case.evidence, start=1)],
            generator=generator,
            encoder=encoder,
            judge=judge,
            prompts=prompts,
            writing=writing,
        )
        yield GroundingPrediction(
            id=case.id,
            reply=answer.text,
            declined=answer.declined,
            probability=answer.probability,
            milliseconds=(time.perf_counter() - started) * 1000,
            judge=next(e.judge for e in answer.events if isinstance(e, AnswerabilityJudged)),
        )


def summarise_grounding(
    predictions: Sequence[GroundingPrediction], cases: Sequence[GroundingCase]
) -> GroundingSummary:
    """The figures of `predictions`; cases without a prediction are left out."""
    by_id = {case.id: case for case in cases}
    pairs = [(by_id[prediction.id], prediction) for prediction in predictions]
    can = [(case, said) for case, said in pairs if case.answerable]
    cannot = [said for case, said in pairs if not case.answerable]
    return GroundingSummary(
        answerable=len(can),
        right=sum(not said.declined and all(m in said.reply for m in case.must) for case, said in can),
        wrongly_declined=sum(said.declined for _, said in can),
        unanswerable=len(cannot),
        declined=sum(said.declined for said in cannot),
        invented=sum(not said.declined and _invents(case, said.reply) for case, said in pairs),
        median_milliseconds=statistics.median([said.milliseconds for _, said in pairs] or [0.0]),
        asked=sum(said.judge.startswith("generator") for _, said in pairs),
        area=_area([said.probability for _, said in can], [said.probability for said in cannot]),
    )


def _area(higher: Sequence[float], lower: Sequence[float]) -> float | None:
    """How often one of `higher` is above one of `lower`; a tie counts half."""
    if not higher or not lower:
        return None
    ordered = sorted(lower)
    below = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in higher)
    return below / (2 * len(higher) * len(lower))


def _invents(case: GroundingCase, reply: str) -> bool:
    return bool(unsupported(reply, [*case.evidence, *map(readable, case.evidence)]))
