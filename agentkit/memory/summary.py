"""A running summary of what leaves the window of a conversation, made of the words that were said.

Whole sentences are taken over, never rewritten: those with an identifier, an amount or a date, those that commit to
something, those in which the user states a fact, and what each message asked for. When it grows too long, the least
telling and oldest lines go first; of those with identifiers, the identifiers and amounts stay. What is dropped at last
is the oldest; it can still be recalled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from agentkit.memory.extraction import holds_secret, statements
from agentkit.messages import (
    Assistant,
    Message,
    ToolResult,
    TrustLabel,
    User,
    as_trusted,
    text_of,
    worst_trust,
)
from agentkit.store.records import SummaryRecord

MOST_CHARACTERS: Final = 1_600
"""Length that a summary is brought down to: about 400 tokens."""

_LONGEST_LINE: Final = 240  # characters of a line that holds nothing to be kept verbatim
_LONGEST_SENTENCE: Final = 600  # of one that does

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
_UNIT: Final = (
    r"(?:\s?(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds?|cents?|percent|%|€|\$|£|kg|km|cm|days?|weeks?|months?|years?|hours?|"
    r"January|February|March|April|May|June|July|August|September|October|November|December)\b|\s?[%€$£])?"
)
_KEPT: Final = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # an address
    r"|[€$£]?\s?(?<![\w.])[A-Za-z]{0,5}[-/#]?\d[\w./:,-]*(?<![.,:])" + _UNIT,
    re.IGNORECASE,
)
_COMMITS: Final = re.compile(
    r"\b(?:I|we|you|it|they|he|she)(?:'ll|\s+will|\s+won't|\s+shall|\s+promise|\s+guarantee|\s+agree)\b"
    r"|\b(?:will|shall)\s+be\b|\bis\s+(?:booked|cancelled|confirmed|reserved|scheduled|agreed)\b"
    r"|\b(?:has|have|was|were|been)\s+(?:booked|cancelled|changed|confirmed|refunded|reserved|scheduled|ordered|sent)\b",
    re.IGNORECASE,
)

_SPEAKERS: Final = {"user": "user", "assistant": "bot"}


def kept_verbatim(text: str) -> list[str]:
    """The identifiers, amounts, dates and addresses of a text, in order, each once."""
    return list(dict.fromkeys(match.group().strip() for match in _KEPT.finditer(text)))


def commits(sentence: str) -> bool:
    """Whether a sentence says that something will be or was done."""
    return _COMMITS.search(sentence.replace("’", "'")) is not None


def extended(
    summary: SummaryRecord | None, messages: Sequence[Message], through: int, most: int = MOST_CHARACTERS
) -> SummaryRecord:
    """A summary that goes further.

    Args:
        summary: Of everything before `messages`, if there is anything.
        messages: Whole turns.
        through: The number of the turn behind them.
        most: Characters that it may have.

    Returns:
        The longer summary; it is trusted as far as the least trusted of its sources.
    """
    lines = summary.text.splitlines() if summary is not None else []
    trusts: list[TrustLabel] = [summary.trust] if summary is not None else []
    for message in messages:
        lines += _lines_of(message)
        trusts.append(worst_trust(message.parts))
    lines = list(dict.fromkeys(lines))
    return SummaryRecord(through=through, text="\n".join(_shortened(lines, most)), trust=_worst(trusts))


def with_sentences(summary: SummaryRecord, written: str, most: int = MOST_CHARACTERS) -> SummaryRecord:
    """A summary in sentences that somebody wrote, with the lines behind it whose content they lack.

    Args:
        summary: Made of the words that were said.
        written: A summary of the same, in one or a few sentences.
        most: Characters that both may have together.
    """
    lacking = [
        line
        for line in summary.text.splitlines()
        if any(each not in written for each in kept_verbatim(line)) or (commits(line) and line not in written)
    ]
    lines = [" ".join(written.split()), *lacking]
    return summary.model_copy(update={"text": "\n".join(_shortened(lines, most))})


def _worst(labels: Iterable[TrustLabel]) -> TrustLabel:
    worst: TrustLabel = "system"
    for label in labels:
        worst = worst if as_trusted(label, worst) else label
    return worst


def _lines_of(message: Message) -> list[str]:
    match message:
        case ToolResult(status="ok", name=name):
            return [f"{name}: {sentence}" for sentence in _sentences(text_of(message)) if _matters(sentence)]
        case ToolResult(status=status, name=name):
            return [f"{name}: {status}"]
        case User() | Assistant():
            return [f"{_SPEAKERS[message.role]}: {said}" for said in _said(message)]
        case _:
            return []


def _said(message: User | Assistant) -> list[str]:
    sentences = _sentences(text_of(message))
    kept = [each for each in sentences if _matters(each) or (isinstance(message, User) and statements(each))]
    if not kept and sentences and isinstance(message, User):
        kept = [sentences[0]]
    return kept


def _sentences(text: str) -> list[str]:
    """The sentences of a text, each as one line; one that holds a password or the like is left out."""
    found = [" ".join(each.split()) for each in _SENTENCE_END.split(text)]
    return [_cut(each) for each in found if each and not holds_secret(each)]


def _cut(sentence: str) -> str:
    most = _LONGEST_SENTENCE if _matters(sentence) else _LONGEST_LINE
    if len(sentence) <= most:
        return sentence
    rest = [each for each in kept_verbatim(sentence) if each not in sentence[:most]]
    return " … ".join([sentence[:most], *rest])


def _matters(sentence: str) -> bool:
    return bool(kept_verbatim(sentence)) or commits(sentence)


def _shortened(lines: list[str], most: int) -> list[str]:
    """Bring lines down to a length: plain ones go, then others are cut to what is kept, then the oldest go."""
    lines = _while_too_long(lines, most, lambda line: None if not _matters(line) else line)
    lines = _while_too_long(lines, most, _only_kept)
    while len("\n".join(lines)) > most:
        lines = lines[1:]
    return lines


def _while_too_long(lines: list[str], most: int, shorter: Callable[[str], str | None]) -> list[str]:
    """Make one line after the other shorter, oldest first, until they fit; None drops a line."""
    result: list[str | None] = [*lines]
    length = len("\n".join(lines))
    for place, line in enumerate(lines):
        if length <= most:
            break
        result[place] = shorter(line)
        length -= len(line) + 1 - (0 if result[place] is None else len(str(result[place])) + 1)
    return list(dict.fromkeys(line for line in result if line is not None))


def _only_kept(line: str) -> str:
    """The speaker and what is to be kept of a line; a commitment stays as it is."""
    speaker, _, said = line.partition(": ")
    kept = kept_verbatim(said)
    return line if commits(said) or not kept else f"{speaker}: {' … '.join(kept)}"
