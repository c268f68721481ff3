"""Patterns and formats of strings in forms that mean the same to every reader of a schema, or something stricter.

Regular expressions of JSON Schema are those of ECMAScript; llguidance reads them as Rust's `regex` does. They differ
in what `.` and `\\S` stand for. Of the formats, llguidance does not count the days of February or the minutes that may
have a leap second.
"""

from __future__ import annotations

from typing import Final

_DATE: Final = (
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_CLOCK: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME: Final = rf"{_CLOCK}:[0-5][0-9](?:\.[0-9]+)?(?:[zZ]|[+-]{_CLOCK})"
STRICT_FORMATS: Final = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}[tT]{_TIME}$",
}
"""Patterns that say what a format of RFC 3339 means, without leap seconds: when there is one is not known."""
FOLLOWED_FORMATS: Final = frozenset(
    ("date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
)
"""Formats that llguidance implements."""
NOTED_FORMATS: Final = frozenset({"binary", "password"})
"""Formats of OpenAPI that are notes to the reader: every string has them."""

_NOT_LINE_END: Final = r"[^\n\r\u2028\u2029]"
_NOT_SPACE: Final = r"[^\s\ufeff]"


def portable_pattern(pattern: str) -> str:
    """A regular expression that allows nothing which ECMAScript does not: `.` is no line end of any kind, and `\\S` no
    byte order mark.

    Args:
        pattern: A regular expression of ECMAScript.
    """
    result: list[str] = []
    position, in_class = 0, False
    dot_is_all = "(?" in pattern and "s" in "".join(
        part.partition(":")[0] for part in pattern.split("(?")[1:]
    )
    while position < len(pattern):
        piece = pattern[position : position + (2 if pattern[position] == "\\" else 1)]
        position += len(piece)
        if in_class:
            in_class = piece != "]"
        elif piece == "[":
            in_class = True
        elif piece == "." and not dot_is_all:
            piece = _NOT_LINE_END
        elif piece == r"\S":
            piece = _NOT_SPACE
        result.append(piece)
    return "".join(result)
