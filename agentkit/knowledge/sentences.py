"""Text as words and sentences: what grounding compares and what an answer quotes.

Rules instead of a trained splitter: they can be read, they need no weights, and a wrong cut costs a longer
quote at worst.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from agentkit.knowledge.vocabulary import ABBREVIATIONS

_LONGEST: Final = 1000
"""Characters of a sentence; without a bound a text without a full stop would cost the square of its length."""
_BREAK: Final = re.compile(r"(?P<end>[.!?…]+[\"'”’)\]]*)(?P<space>\s+)|(?P<line>\n+)")
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_ENDINGS: Final = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""))
_PUNCTUATION: Final = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": " - ", "−": "-", "\u00ad": "", "\u200b": ""}
)


def plain(text: str) -> str:
    """`text` with one form for each character that comes in several (quotes, dashes, kinds of space)."""
    return unicodedata.normalize("NFKC", text).translate(_PUNCTUATION)


def words(text: str) -> list[str]:
    """The words of `text` in lower case, without numbers and punctuation; `can't` is one word."""
    return [word.casefold() for word in _WORD.findall(plain(text))]


def sentences(text: str) -> tuple[str, ...]:
    """Cut `text` after full stops, question and exclamation marks, and at line breaks.

    A full stop after a known abbreviation or a single initial, and one that a small letter follows, ends
    nothing. Nothing is longer than 1000 characters.
    """
    found: list[str] = []
    start = 0
    for match in _BREAK.finditer(text):
        if match["line"] is None and not _ends_sentence(text, start, match):
            continue
        _append(found, text[start : match.end()])
        start = match.end()
    _append(found, text[start:])
    return tuple(found)


def _append(found: list[str], piece: str) -> None:
    """Add a sentence without the space around it; one without end is cut, at a space where there is one."""
    piece = piece.strip()
    while len(piece) > _LONGEST:
        cut = piece.rfind(" ", 1, _LONGEST)
        cut = cut if cut > 0 else _LONGEST
        _append(found, piece[:cut])
        piece = piece[cut:].strip()
    if any(character.isalnum() for character in piece):
        found.append(piece)


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the mark at `match` ends a sentence that began at `start`."""
    following = text[match.end() : match.end() + 1]
    if "\n" in match["space"]:
        return True
    if following.islower():
        return False
    if not match["end"].startswith(".") or match["end"].startswith(".."):
        return True
    before = text[start : match.start()]
    last = before.split()[-1].strip("(\"'“[") if before.split() else ""
    initial = len(last) == 1 and last.isupper() and last != "I"
    return not (initial or last.casefold() in ABBREVIATIONS)


def stem(word: str) -> str:
    """`word` without its common English endings, so that `cancelled` meets `cancel`; wrong at times."""
    word = word.removesuffix("'s")
    for ending, replacement in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + replacement
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeious":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word
