"""The one path from found evidence to a reply: judge, then quote or write, check, and say nothing else.

    evidence ─► readable ─► compared with the question ─► judge ─ no ──► declined
                                                           │ yes
                                     quoted sentences ◄────┴───► written, checked, once again, else quoted

Quoting whole sentences is the default: they cannot invent anything, they cost no generation, and on the cases in
`benchmarks/grounding_cases.jsonl` they hold the answer more often than what a small generator writes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agentkit.events import AnswerabilityJudged, Event, GenerationFinished, GroundingChecked
from agentkit.knowledge.answerability import Judgement
from agentkit.knowledge.grounding import resting_on, unsupported
from agentkit.knowledge.passages import Passage, compare, pieces, quote, readable
from agentkit.messages import Message, assistant, system, user
from agentkit.models.protocols import Finished, GenerationRequest

if TYPE_CHECKING:
    import threading

    from agentkit.knowledge.answerability import Judge
    from agentkit.models.protocols import Encoder, Generator, Vectors
    from agentkit.prompts import PromptLibrary

Writing: TypeAlias = Literal["quoted", "generated"]
"""Whether an answer is quoted from the evidence or written by the generator and checked against it."""

_MOST_EVIDENCE: Final = 8
_MOST_CHARACTERS: Final = 6000
"""Evidence beyond these is left out, the least similar first: a prompt must stay affordable."""
_SAME_QUESTION: Final = 0.85
_CLEARLY: Final = 0.05
"""A stored question is the one that was asked from this cosine similarity on, if the next one is so much further
away: then 98.9 % of the answers are right (`dev/log.md`)."""
_MOST_TOKENS: Final = 80
_ATTEMPTS: Final = 2


@dataclass(frozen=True)
class Evidence:
    """Something that may answer a question.

    Args:
        text: A passage, a fact, or a tool's result (JSON is made readable).
        source: What a citation calls it.
        title: The headings above it; compared with the question, not quoted.
        pair: The text is the stored answer to the question in `title`: said as it stands where a user asks just that.
        asked: Questions that it answers, as its author says; quoted as a whole where a user asks just one of them.
    """

    text: str
    source: str
    title: str = ""
    pair: bool = False
    asked: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroundedAnswer:
    """A reply that says nothing that its evidence does not say.

    Args:
        text: The reply; a polite refusal where `declined`.
        declined: The evidence does not answer the question.
        source: `quoted`, `generated` or `declined`.
        citations: Sources of the evidence that the reply was made from, without duplicates.
        events: What was decided and done, in order.
        probability: Calibrated probability that the evidence answers the question.
    """

    text: str
    declined: bool
    source: Literal["generated", "quoted", "declined"]
    citations: tuple[str, ...]
    events: tuple[Event, ...]
    probability: float


def answer_from_evidence(
    question: str,
    evidence: Sequence[Evidence],
    *,
    generator: Generator | None,
    encoder: Encoder,
    judge: Judge,
    prompts: PromptLibrary,
    question_vector: Vectors | None = None,
    deadline: float | None = None,
    cancel: threading.Event | None = None,
    contact: str = "",
    writing: Writing = "quoted",
) -> GroundedAnswer:
    """Answer a question from evidence, or decline.

    Args:
        question: In the user's words.
        evidence: What was found, in any order.
        generator: Writes the reply where `writing` is `generated`; without one it is quoted.
        encoder: Compares the question with the evidence.
        judge: Decides whether the evidence answers the question.
        prompts: The texts around it.
        question_vector: float32 [d], the question embedded, where the caller has it already.
        deadline: `time.monotonic()` value after which nothing more is generated.
        cancel: Stops a generation within one step.
        contact: How a person is reached, for the refusal.
        writing: How the reply is made.

    Raises:
        ContextOverflow: The question and the best piece of evidence do not fit the generator's context window.
    """
    started = time.perf_counter()
    vector = encoder.encode([question])[0] if question_vector is None else question_vector
    if (stored := _stored_answer(vector, evidence, encoder, started)) is not None:
        return stored
    cut = [(each, part) for each in evidence for part in pieces(readable(each.text))]
    passages = compare(vector, [part for _, part in cut], encoder, [each.title for each, _ in cut])
    parts = [(each.source, part) for each, part in cut]
    kept = _affordable(passages)
    judgement = judge.judge(question, [passages[index] for index in kept])
    judged = _judged(judgement, started)
    sure = judgement.probability
    if not judgement.answerable or judgement.best is None:
        refusal = prompts.render("reply_declined", reason="not_answered", contact=contact).strip()
        return GroundedAnswer(refusal, True, "declined", (), (judged,), sure)
    quoted = quote([passages[index] for index in kept], judgement.best)
    events: list[Event] = [judged]
    if writing == "generated" and generator is not None:
        texts = tuple(passages[index].text for index in kept)
        writer = _Writer(generator, prompts, question, texts)
        events.extend(writer.attempts(deadline, cancel))
        if writer.reply:
            used = resting_on(writer.reply, texts) or (judgement.best,)
            cited = _sources(parts, [kept[index] for index in used])
            return GroundedAnswer(writer.reply, False, "generated", cited, tuple(events), sure)
    cited = _sources(parts, [kept[index] for index in quoted.passages])
    return GroundedAnswer(quoted.text, False, "quoted", cited, tuple(events), sure)


def _stored_answer(
    vector: Vectors, evidence: Sequence[Evidence], encoder: Encoder, started: float
) -> GroundedAnswer | None:
    """The answer whose question is surely the one that was asked, word for word; None where there is none."""
    stored = [
        (question, each)
        for each in evidence
        if readable(each.text)
        for question in (*each.asked, *([each.title] if each.pair else []))
        if question.strip()
    ]
    if not stored:
        return None
    similarities = encoder.encode([question for question, _ in stored]) @ vector  # [n, d] @ [d]
    _, found = stored[int(similarities.argmax())]
    sure = min(1.0, float(similarities.max()))
    others = [float(s) for (_, each), s in zip(stored, similarities, strict=True) if each.text != found.text]
    if sure < _SAME_QUESTION or sure - max(others, default=-1.0) < _CLEARLY:
        return None
    judged = _judged(Judgement(True, sure, "stored question"), started)
    text = found.text.strip() if found.pair else readable(found.text)
    return GroundedAnswer(text, False, "quoted", (found.source,), (judged,), sure)


def _judged(judgement: Judgement, started: float) -> AnswerabilityJudged:
    return AnswerabilityJudged(
        answerable=judgement.answerable,
        probability=judgement.probability,
        judge=judgement.judge,
        milliseconds=_since(started),
    )


class _Writer:
    """Lets the generator write until a reply passes the check, at most twice."""

    def __init__(
        self, generator: Generator, prompts: PromptLibrary, question: str, texts: tuple[str, ...]
    ) -> None:
        self.reply = ""
        self._generator = generator
        self._prompts = prompts
        self._texts = texts
        self._messages: list[Message] = [
            system(prompts.render("answer_from_facts").strip()),
            user(prompts.render("judge_question", facts=texts, question=question).strip()),
        ]

    def attempts(self, deadline: float | None, cancel: threading.Event | None) -> Iterator[Event]:
        """Write and check; `reply` holds what passed, or stays empty."""
        for _ in range(_ATTEMPTS):
            started = time.perf_counter()
            request = GenerationRequest(
                self._messages, max_tokens=_MOST_TOKENS, deadline=deadline, cancel=cancel, static=1
            )
            finished = next(d for d in self._generator.generate(request) if isinstance(d, Finished))
            yield _generation(finished, _since(started))
            if finished.finish != "stop":
                return
            text = finished.text.strip()
            wrong = unsupported(text, self._texts)
            yield GroundingChecked(supported=not wrong, unsupported=wrong)
            if text and not wrong:
                self.reply = text
                return
            again = self._prompts.render("answer_again", unsupported=list(wrong)).strip()
            self._messages += [assistant(text), user(again)]


def _generation(finished: Finished, milliseconds: float) -> GenerationFinished:
    usage = finished.usage
    return GenerationFinished(
        text=finished.text,
        finish=finished.finish,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        generated_tokens=usage.generated_tokens,
        forced_tokens=usage.forced_tokens,
        forward_passes=usage.forward_passes,
        milliseconds=milliseconds,
    )


def _affordable(passages: Sequence[Passage]) -> list[int]:
    """Indices of the passages that are used, in their order: the most similar ones within the limits."""
    kept: list[int] = []
    room = _MOST_CHARACTERS
    for index in sorted(range(len(passages)), key=lambda i: -passages[i].similarity)[:_MOST_EVIDENCE]:
        if passages[index].sentences and (not kept or len(passages[index].text) <= room):
            kept.append(index)
            room -= len(passages[index].text)
    return sorted(kept)


def _sources(parts: Sequence[tuple[str, str]], used: Sequence[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parts[index][0] for index in used))


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
