"""What a docstring tells a model about a function and its parameters: griffe reads it in three styles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# Not followed by a blank line, an indented line or a list item: a line break that only wraps a sentence.
_WRAP: Final = re.compile(r"(?<!\n)\n(?!\s|[-*•]|\d+[.)]|$)")
# A Google section that lacks its blank line: griffe would take it for text, and every description with it.
_SECTION: Final = re.compile(r"(?<!\n)\n((?:Args|Arguments|Parameters|Params|Returns|Raises|Yields):\n)")


@dataclass(frozen=True)
class Documentation:
    """The parts of a docstring that a model sees.

    Args:
        description: The text before the first section, unwrapped.
        parameters: Description of each documented parameter, unwrapped.
    """

    description: str
    parameters: dict[str, str]


def read_docstring(text: str) -> Documentation:
    """Read a docstring in Google, NumPy or Sphinx style.

    All three parsers read it; the one that recognises most parameters (then most sections) is right. griffe's
    own guess by regular expressions takes a sentence with a colon for a section.

    Args:
        text: As `inspect.getdoc` returns it: without the indentation of the source.
    """
    import griffe  # 90 ms, and only needed where tools are defined

    # A line break first, or griffe takes the indentation of a docstring that begins with a section for none.
    docstring = griffe.Docstring("\n" + _SECTION.sub(r"\n\n\1", text))
    parsed = (
        griffe.parse_google(docstring, warnings=False),
        griffe.parse_numpy(docstring, warnings=False),
        griffe.parse_sphinx(docstring, warnings=False),
    )
    best = Documentation("", {})
    score = (-1, -1)
    for sections in parsed:
        parameters = {
            item.name.lstrip("*"): _unwrap(item.description)
            for section in sections
            if isinstance(section, griffe.DocstringSectionParameters)
            for item in section.value
        }
        if (len(parameters), len(sections)) > score:
            score = (len(parameters), len(sections))
            first = sections[0] if sections else None
            lead = first.value if isinstance(first, griffe.DocstringSectionText) else ""
            best = Documentation(_unwrap(lead), parameters)
    return best


def _unwrap(text: str) -> str:
    return _WRAP.sub(" ", text.strip())
