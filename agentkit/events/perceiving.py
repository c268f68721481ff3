"""What a message was taken for, and what was found for it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from agentkit.events.base import EventValue
from agentkit.messages import TrustLabel, Value


class IntentRecognised(EventValue):
    """The calibrated decision of the encoder; `intent` is None when the message is out of scope.

    `ambiguous` names two intents that fit about equally well, where there are such.
    """

    type: Literal["intent_recognised"] = "intent_recognised"
    intent: str | None
    probability: float
    ranking: tuple[tuple[str, float], ...] = ()
    ambiguous: tuple[str, ...] = ()


class IntentAsked(EventValue):
    """Two intents fit about equally well, and the bot asked which is meant; the next message may answer."""

    type: Literal["intent_asked"] = "intent_asked"
    intents: tuple[str, ...]


class Recollection(Value):
    """One recalled memory: text, cosine similarity to the message, trust, and where and when it comes from.

    `score` is what it was ordered by: similarity, common words, age and importance.
    """

    memory_id: str
    text: str
    similarity: float
    kind: Literal["message", "fact"]
    trust: TrustLabel = "user"
    conversation_id: str | None = None
    score: float = 0.0
    turn_id: str | None = None
    created_at: datetime | None = None


class MemoriesRecalled(EventValue):
    """What was found again from earlier conversations of the same user."""

    type: Literal["memories_recalled"] = "memories_recalled"
    memories: tuple[Recollection, ...]


class PassageFound(Value):
    """One passage of the knowledge, its place, and why it was found.

    Args:
        document: The name of its document.
        heading: The headings above it, joined by ` › `; of a question/answer pair the question.
        text: What it says.
        similarity: Cosine similarity to the question.
        words: BM25 of the words that it shares with the question; 0 where it shares none that tell.
        score: What passages are ordered by, from both.
        kind: `pair`: it is the answer of a question/answer pair.
        start: Offset of its first character in the document; HTML and PDF count in the text that was read from them.
        end: Offset behind its last character.
        asked: Other words in which people ask for it, as its author says.
    """

    document: str
    heading: str
    text: str
    similarity: float
    words: float = 0.0
    score: float = 0.0
    kind: Literal["passage", "pair"] = "passage"
    start: int = 0
    end: int = 0
    asked: tuple[str, ...] = ()


class PassagesFound(EventValue):
    """What the knowledge search returned, best first."""

    type: Literal["passages_found"] = "passages_found"
    passages: tuple[PassageFound, ...]


class AnswerabilityJudged(EventValue):
    """Whether the evidence answers the question, decided before anything is said.

    Args:
        answerable: The decision.
        probability: Calibrated probability that the evidence answers the question.
        judge: Which judge decided, for example `generator+encoder` or `encoder`.
    """

    type: Literal["answerability_judged"] = "answerability_judged"
    answerable: bool
    probability: float
    judge: str
