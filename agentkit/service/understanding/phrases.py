"""Turns of phrase that every bot understands, and how much of a message they and its values explain."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from agentkit.service.understanding.words import Word, is_misspelt, lowered, words_of

_FILE: Final = Path(__file__).with_name("phrases.yaml")
_MEANINGLESS: Final = ("filler", "small_words")
_THUMBS: Final = {"👍": "yes", "👎": "no", "✅": "yes", "❌": "no", "🙏": "please", "👌": "ok"}
_WONDERS: Final = re.compile(
    r"\b(?:know|tell me|wonder\w*|find out|check|asking|explain)\s+(?:if|whether|what|when|where|who|why|how|which)\b"
)
_STRETCHED: Final = re.compile(r"(.)\1{2,}")


@dataclass(frozen=True)
class Cover:
    """What explains a message.

    Args:
        meanings: Of the phrases that were found, in their order (`confirm`, `deny`, …).
        left: Words that neither phrases nor values nor the words of the subject explain.
    """

    meanings: tuple[str, ...]
    left: tuple[str, ...]


@cache
def phrases() -> Mapping[str, frozenset[tuple[str, ...]]]:
    """The words of every phrase, by meaning."""
    read: Mapping[str, list[str]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {
        meaning: frozenset(
            tuple(word.text for word in words_of(phrase)) for line in lines for phrase in line.split(",")
        )
        for meaning, lines in read.items()
    }


@cache
def _by_first_word() -> Mapping[str, list[tuple[tuple[str, ...], str]]]:
    """Phrases by their first word, the longest first; what means something before what does not."""
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for meaning, known in phrases().items():
        if meaning == "questions":
            continue
        for words in known:
            found.setdefault(words[0], []).append((words, meaning))
    return {
        first: sorted(each, key=lambda p: (-len(p[0]), p[1] in _MEANINGLESS)) for first, each in found.items()
    }


def cover(text: str, values: Iterable[tuple[int, int]] = (), subject: Collection[str] = ()) -> Cover:
    """Explain a message by phrases, values and the words of its subject.

    Args:
        text: The message.
        values: Places of values.
        subject: Words that go without saying where the message is about them ("order", "number").
    """
    taken = list(values)
    words = [
        word
        for word in spoken(text)
        if not any(start < word.end and word.start < end for start, end in taken)
    ]
    meanings: list[str] = []
    left: list[str] = []
    at = 0
    while at < len(words):
        length, meaning = _phrase(words[at:])
        if length and (meaning not in _MEANINGLESS or words[at].text not in subject):
            if meaning not in _MEANINGLESS:
                meanings.append(meaning)
        elif words[at].text not in subject:
            left.append(words[at].text)
        at += max(length, 1)
    return _alone(Cover(tuple(meanings), tuple(left)), bool(taken))


def _alone(found: Cover, has_values: bool) -> Cover:
    """ "Sorry?" asks what is meant, "sorry, 1042" does not."""
    others = tuple(each for each in found.meanings if each != "clarify_alone")
    if others == found.meanings:
        return found
    if others or found.left or has_values:
        return Cover(others, found.left)
    return Cover(("clarify",), ())


def spoken(text: str) -> list[Word]:
    """Words of a message; a thumb is a yes, and "yesss" is "yes"."""
    for sign, word in _THUMBS.items():
        text = text.replace(sign, f" {word} ")
    return [Word(_STRETCHED.sub(r"\1", word.text), word.start, word.end) for word in words_of(text)]


def asks(text: str) -> bool:
    """Whether a message has the form of a question."""
    words = [word.text for word in words_of(text)]
    fillers = {each[0] for each in (*phrases()["filler"], *phrases()["greeting"]) if len(each) == 1}
    while words and words[0] in fillers:
        words.pop(0)
    asked = bool(words and (words[0],) in phrases()["questions"])
    return asked or text.rstrip().endswith("?") or _WONDERS.search(lowered(text)) is not None


def _phrase(words: Sequence[Word]) -> tuple[int, str]:
    """The longest phrase that the words begin with: its length and its meaning; 0 where there is none."""
    first = words[0].text
    known = _by_first_word()
    begins = known.get(first) or [
        each for word, found in known.items() if is_misspelt(first, word) for each in found
    ]
    for wanted, meaning in begins:
        run = words[: len(wanted)]
        if len(run) == len(wanted) and all(
            word.text == other or is_misspelt(word.text, other)
            for word, other in zip(run, wanted, strict=True)
        ):
            return len(wanted), meaning
    return 0, ""
