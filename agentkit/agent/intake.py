"""What is accepted as a user message."""

from __future__ import annotations

import unicodedata

from agentkit.errors import InputRejected

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_KEPT_CONTROLS = "\n\t"


def accept_text(text: str, longest: int) -> str:
    """Make a user's text storable without changing what it says.

    NUL and other control characters and lone surrogates become U+FFFD; line ends become newlines. Everything
    else, markup and template syntax included, is data and stays as it is.

    Args:
        text: What the user sent.
        longest: Most characters accepted.

    Raises:
        InputRejected: Nothing but white space, or more than `longest` characters.
    """
    if len(text) > longest:
        raise InputRejected(
            f"The message has {len(text):,} characters; at most {longest:,} are accepted. "
            "Nothing was stored.",
            hint="Send a shorter message, or raise limits.message_characters in agent.yaml.",
        )
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    if not unified.isprintable():  # which most texts are
        unified = "".join(_REPLACEMENT if _is_unfit(c) else c for c in unified)
    clean = unified.strip()
    if not clean:
        raise InputRejected("The message is empty. Nothing was stored.", hint="Write what you want to know.")
    return clean


def _is_unfit(character: str) -> bool:
    category = unicodedata.category(character)
    return category == "Cs" or (category == "Cc" and character not in _KEPT_CONTROLS)
