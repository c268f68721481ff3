"""Evidence made readable and ranked: what a judge reads and what a reply quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from agentkit.knowledge.sentences import sentences

if TYPE_CHECKING:
    from agentkit.models.protocols import Encoder, Vectors

_MOST_SENTENCES: Final = 3
"""A quotation is no longer than this; a passage that is longer is quoted around its best sentence."""
_LONG: Final = 1200
"""Characters (some 250 tokens, the most that the encoder reads) from which on a text is cut into pieces."""
_SECOND_PASSAGE: Final = 0.05
"""A second passage is quoted too when its cosine similarity is this near to the best one's: then the encoder
cannot tell which of the two answers, and on development cases both together held the answer more often."""
_MARKDOWN: Final = re.compile(r"^\s{0,3}(?:#{1,6}\s+|>\s?|[-*+]\s+|\d+[.)]\s+)|[*_]{2,3}|`+", re.MULTILINE)
_LINK: Final = re.compile(r"!?\[([^\[\]]{0,200})\]\(([^()\s]{0,500})[^()]{0,200}\)")


@dataclass(frozen=True)
class Passage:
    """One piece of evidence, compared with the question.

    Args:
        text: Readable text.
        similarity: Cosine similarity to the question.
        sentences: The text cut into sentences.
        sentence_similarities: Cosine similarity of each of them.
    """

    text: str
    similarity: float
    sentences: tuple[str, ...]
    sentence_similarities: tuple[float, ...]


@dataclass(frozen=True)
class Quote:
    """Whole sentences of the evidence.

    Args:
        text: Their words, unchanged.
        passages: Indices of the passages that they come from.
    """

    text: str
    passages: tuple[int, ...]


def readable(text: str) -> str:
    """`text` as one would say it: a JSON object or array as `name: value` pairs, Markdown without its marks.

    Names and values stay as they are, apart from underscores in names; null is left out.
    """
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        try:
            return "; ".join(_pairs("", json.loads(stripped))) + "."
        except (ValueError, RecursionError):
            pass  # it only looks like JSON
    return _MARKDOWN.sub("", _LINK.sub(r"\1 (\2)", stripped)).strip()


def pieces(text: str) -> tuple[str, ...]:
    """`text` in pieces of whole sentences that a judge can read at once; a short text is one piece."""
    found: list[str] = []
    current = ""
    if len(text) <= _LONG:
        return (text,)
    for sentence in sentences(text):
        if current and len(current) + len(sentence) >= _LONG:
            found.append(current)
            current = ""
        current = f"{current}\n{sentence}" if current else sentence
    return (*found, current) if current else tuple(found)


def _pairs(name: str, value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _pairs(f"{name} {key}".strip().replace("_", " "), inner)
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for inner in value:
            yield from _pairs(name, inner)
    elif value is not None:
        said = ", ".join(map(_said, value)) if isinstance(value, list) else _said(value)
        yield f"{name}: {said}" if name else said


def _said(value: JsonValue) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def compare(
    question_vector: Vectors, texts: Sequence[str], encoder: Encoder, titles: Sequence[str] = ()
) -> tuple[Passage, ...]:
    """Compare a question with every text and every sentence of it, in one pass of the encoder.

    Args:
        question_vector: float32 [d], length 1.
        texts: Readable evidence.
        encoder: The encoder that made the vector.
        titles: The headings above each text, empty where there are none: "From 9 to 18" is no answer to a
            question about opening hours without the heading that says so.
    """
    parts = [sentences(text) for text in texts]
    titled = [
        f"{title}\n{text}".strip() for title, text in zip(titles or [""] * len(texts), texts, strict=True)
    ]
    rows = [row for whole, part in zip(titled, parts, strict=True) for row in (whole, *part)]
    if not rows:
        return ()
    similarities = [float(value) for value in encoder.encode(rows) @ question_vector]  # [n, d] @ [d]
    found: list[Passage] = []
    for text, part in zip(texts, parts, strict=True):
        own, similarities = similarities[: len(part) + 1], similarities[len(part) + 1 :]
        found.append(Passage(text, own[0], part, tuple(own[1:])))
    return tuple(found)


def quote(passages: Sequence[Passage], best: int) -> Quote:
    """The sentences that most likely answer: at most three, from the best passage or from the best two.

    Args:
        passages: The evidence.
        best: Index of the passage that was judged to answer; it has at least one sentence.
    """
    chosen = _around_best(passages[best], _MOST_SENTENCES)
    used = [best]
    highest = passages[best].similarity
    behind = [i for i, p in enumerate(passages) if i != best and p.sentences and p.similarity <= highest]
    second = max(behind, key=lambda index: passages[index].similarity, default=None)
    room = _MOST_SENTENCES - len(chosen)
    if room and second is not None and highest - passages[second].similarity < _SECOND_PASSAGE:
        chosen += _around_best(passages[second], room)
        used.append(second)
    return Quote(_joined([_closed(sentence) for sentence in chosen]), tuple(used))


def _around_best(passage: Passage, room: int) -> list[str]:
    """All of a short passage; of a long one the best sentence with its neighbours, the one behind it first."""
    count = len(passage.sentences)
    if count <= room:
        return list(passage.sentences)
    best = max(range(count), key=passage.sentence_similarities.__getitem__)
    start = max(0, min(best - (room - 1) // 2, count - room))
    return list(passage.sentences[start : start + room])


def _joined(chosen: Sequence[str]) -> str:
    """One text that falls into the same sentences again, so that each is recognised as a quotation."""
    text = chosen[0]
    for sentence in chosen[1:]:
        flowing = f"{text} {sentence}"
        text = flowing if sentences(flowing)[-1:] == (sentence,) else f"{text}\n{sentence}"
    return text


def _closed(sentence: str) -> str:
    return sentence if sentence[-1] in ".!?…\"'”)]" else sentence + "."
