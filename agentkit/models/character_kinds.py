"""Which characters are letters, numbers and white space: asked of the `tokenizers` library once, then kept.

Editions of Unicode differ in what they call a letter, and the library uses two of them: one in its regular expressions,
one in its rule for digits. Text that is cut differently gives other tokens than the model was trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy

from agentkit.models.byte_pairs import DIGIT, LETTER, LONG_S, NUMBER, OTHER, SPACE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ASKED: Final = 0x40000
"""Code points from here on are unassigned, private, or marks: never letters, numbers or white space."""
_CODE_POINTS: Final = 0x110000
_FOLDED: Final = 0x3000
"""Below this are all characters that are a letter of ASCII but for their case."""
_ASCII: Final = bytes(range(0x80))
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def character_kinds(*, single_digits: bool) -> bytes | None:
    """The stand-in of every character for `PieceSplitter`, by code point.

    Args:
        single_digits: The tokenizer cuts every digit off by itself, by the library's rule for digits.

    Returns:
        1,114,112 bytes; None if the library sees ASCII or case differently than the patterns of `byte_pairs` do.
    """
    letter, number, space = (_matched(pattern, _ASKED) for pattern in (r"\p{L}+", r"\p{N}+", r"\s+"))
    kinds = numpy.full(_CODE_POINTS, ord(OTHER), dtype=numpy.uint8)
    kinds[:_ASKED][letter] = ord(LETTER)
    kinds[:_ASKED][number] = ord(NUMBER)
    kinds[:_ASKED][space] = ord(SPACE)
    digit = _digits(_ASKED) if single_digits else number
    if single_digits:
        kinds[:_ASKED][digit] = ord(DIGIT)
    long_s = _matched("(?i:s)+", _FOLDED)
    long_s[:0x80] = False
    others = _matched("(?i:[trevmld])+", _FOLDED)
    expected = ((letter, _LETTERS), (number, b"0123456789"), (digit, b"0123456789"), (space, b"\t\n\v\f\r "))
    if others[0x80:].any() or any(
        bytes(numpy.flatnonzero(found[:0x80]).tolist()) != known for found, known in expected
    ):
        return None
    kinds[:_FOLDED][long_s] = ord(LONG_S)
    kinds[:0x80] = numpy.frombuffer(_ASCII, dtype=numpy.uint8)
    return kinds.tobytes()


def _matched(pattern: str, end: int) -> NDArray[numpy.bool_]:
    """Which characters below `end` the library's regular expression matches, each by itself."""
    from tokenizers import Regex, pre_tokenizers

    # What is "removed" are the matches: the rest comes back, with its place.
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    return ~_places(split.pre_tokenize_str(_characters(end)), end)


def _digits(end: int) -> NDArray[numpy.bool_]:
    from tokenizers import pre_tokenizers

    runs = pre_tokenizers.Digits(individual_digits=False).pre_tokenize_str(_characters(end))
    return _places([run for run in runs if _is_digit(run[0][0])], end)


def _is_digit(character: str) -> bool:
    """Runs of digits and of others come in turn; the first character of a run tells which it is."""
    from tokenizers import pre_tokenizers

    beside = pre_tokenizers.Digits(individual_digits=False).pre_tokenize_str(f"a{character}")
    return len(beside) == 2


def _characters(end: int) -> str:
    """All characters below `end`, U+FFFD in the place of surrogates, which no text holds."""
    return "".join("\ufffd" if 0xD800 <= point < 0xE000 else chr(point) for point in range(end))


def _places(runs: list[tuple[str, tuple[int, int]]], end: int) -> NDArray[numpy.bool_]:
    places = numpy.zeros(end, dtype=numpy.bool_)
    for _text, (first, last) in runs:
        places[first:last] = True
    return places
