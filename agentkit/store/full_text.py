"""What users write, as queries of SQLite's full-text search that cannot be anything else.

FTS5 has a query language (`AND`, `NEAR`, `col:`, `^`, `*`, quotes) in which a message is a syntax error or, worse,
means something. So a query is made here of whole words only: letters and digits, each in quotes, joined by `OR`::

    terms = search_terms(message)
    if terms:                                        # nothing to look for in "?!" or in "what is it"
        rows = connection.rows("SELECT rowid, bm25(words) FROM words WHERE words MATCH ?", (match_any(terms),))

The table is made with `tokenize = "porter unicode61 remove_diacritics 2"` (`TOKENIZER`), and what goes in passes
`searchable`: `connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, searchable(text)))`. A table
without content of its own (`content=''`) must be given the same text again to delete a row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

TOKENIZER: Final = "porter unicode61 remove_diacritics 2"
"""How an FTS5 table cuts text, for its `tokenize` option: words without case and accents, English endings removed."""

MOST_TERMS: Final = 64
"""Terms of one query; a message of a thousand words is not searched for with all of them."""

_STOP_WORDS: Final = """
a about after all also am an and any are as at be been before being but by can could did do does doing done each
either else for from get gets got had has have having he her here hers him his how i if in into is it its itself
just let like me might mine more most much must my neither no nor not of off on once one only or other our ours
out over own per please shall she should so some such than that the their theirs them then there these they this
those through to too under until up upon very was we were what when where whether which while who whom whose why
will with within without would yes yet you your yours d ll m re s t ve don doesn didn isn aren wasn weren hasn haven
hadn won wouldn couldn shouldn cannot tell know want
"""
STOP_WORDS: Final = frozenset(_STOP_WORDS.split())
"""Words that nearly every text holds: they tell nothing apart, and one of them costs a hundred times what a rare word
costs, since FTS5 ranks every row that holds it."""

_WORD: Final = re.compile(r"[^\W_]+")
# Scripts that put no space between words: each character is a word of the index, each pair a term of a query.
_UNSPACED: Final = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_UNSPACED_CHARACTER: Final = re.compile(f"[{_UNSPACED}]")
_PIECE: Final = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")


def searchable(text: str) -> str:
    """`text` as it is put into a full-text table: characters of scripts without spaces stand alone."""
    return _UNSPACED_CHARACTER.sub(r" \g<0> ", text)


def search_terms(text: str, most: int = MOST_TERMS) -> tuple[str, ...]:
    """The words of `text` that are worth looking for, in lower case, each once, in their order.

    Args:
        text: Anything that a user may write.
        most: At most so many.

    Returns:
        Letters and digits only, for scripts without spaces pairs of characters; empty where the text has no words or
        nothing but `STOP_WORDS`.
    """
    terms: dict[str, None] = {}
    for word in _WORD.findall(unicodedata.normalize("NFC", text).lower()):
        for piece in _PIECE.findall(word):
            terms.update(dict.fromkeys(_pairs(piece) if _UNSPACED_CHARACTER.match(piece) else (piece,)))
    return tuple(term for term in terms if term not in STOP_WORDS)[:most]


def match_any(terms: Iterable[str]) -> str:
    """The FTS5 query for rows that hold at least one of `terms`.

    Args:
        terms: What `search_terms` returns, at least one.

    Raises:
        ValueError: There is no term, or one is no word: it came from somewhere else.
    """
    quoted = [
        f'"{" ".join(term) if _UNSPACED_CHARACTER.match(term) else term}"' for term in terms if _checked(term)
    ]
    if not quoted:
        raise ValueError("there is nothing to search for")
    return " OR ".join(quoted)


def _pairs(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(len(run) - 1)] or [run]


def _checked(term: str) -> bool:
    if _WORD.fullmatch(term) is None:
        raise ValueError(f"{term!r} is no word; use search_terms")
    return True
