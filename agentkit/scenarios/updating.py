"""Writes replies into a scenario file and leaves everything else of it, comments too, as its author wrote it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import yaml

from agentkit.scenarios.results import Result


def update_replies(result: Result) -> int:
    """Put the replies that were played in the place of the `bot:` lines of a file.

    Lines without `bot:` stay without one.

    Args:
        result: A scenario that was played to its end.

    Returns:
        How many replies changed.
    """
    text = result.path.read_text(encoding="utf-8")
    changed = [
        (position, turn.reply)
        for position, turn in enumerate(result.turns)
        if turn.written is not None and turn.written.strip() != turn.reply.strip()
    ]
    if changed:
        result.path.write_text(with_replies(text, changed), encoding="utf-8")
    return len(changed)


def with_replies(text: str, replies: Sequence[tuple[int, str]]) -> str:
    """The text of a scenario file with other values of `bot:`.

    Args:
        text: The file.
        replies: Position of a user line, and the reply to it.
    """
    places = _places(text)
    for position, reply in sorted(replies, reverse=True):  # from the end, so that earlier places stay
        start, end, indent = places[position]
        text = text[:start] + yaml_text(reply, indent) + text[end:]
    return text


def _places(text: str) -> dict[int, tuple[int, int, int]]:
    """Where the value of `bot:` of each user line is: first character, end, and indentation of its key."""
    found = {}
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None  # it was read before
    for key, value in root.value:
        if key.value == "turns":
            for position, line in enumerate(value.value):
                for name, said in line.value:
                    if name.value == "bot":
                        end = said.end_mark.index
                        # A block of text ends behind its line breaks; those stay.
                        while text[end - 1 : end] == "\n":
                            end -= 1
                        flow = line.flow_style
                        indent = -1 if flow else name.start_mark.column
                        found[position] = (said.start_mark.index, max(end, said.start_mark.index), indent)
    return found


def yaml_text(text: str, indent: int = -1) -> str:
    """A text as a YAML value: on one line in quotes, or as a block where it has several lines.

    Args:
        text: The text; spaces around it are dropped.
        indent: The column of its key; -1: it has to stay on one line.
    """
    text = text.strip()
    if indent < 0 or "\n" not in text:
        return json.dumps(text, ensure_ascii=False)
    margin = " " * (indent + 2)
    return "|-\n" + "\n".join(margin + line if line.strip() else "" for line in text.splitlines())
