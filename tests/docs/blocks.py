"""The fenced code blocks of a Markdown file, and what each of them asks for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_FENCE: Final = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
_HEREDOC: Final = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


class DocumentError(AssertionError):
    """A document promises something that is not so; the message names file and line."""


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Args:
        place: File and line of the opening fence.
        language: First word of the info string.
        options: The words after it: `title=agent.yaml` becomes `{"title": "agent.yaml"}`.
        text: The lines between the fences.
    """

    place: str
    language: str
    options: dict[str, str]
    text: str


@dataclass(frozen=True)
class Command:
    """A shell command, and the output that the document shows for it (None where it shows none)."""

    text: str
    output: str | None = field(default=None)


def read_blocks(name: str, markdown: str) -> Iterator[Block]:
    """The fenced blocks of a document in order."""
    lines = iter(enumerate(markdown.splitlines(), 1))
    for number, line in lines:
        opened = _FENCE.match(line)
        if opened is None:
            continue
        place = f"{name}:{number}"
        body: list[str] = []
        for _, inner in lines:
            if inner.strip().startswith(opened["fence"]) and not inner.strip(" `~"):
                break
            body.append(inner.removeprefix(opened["indent"]))
        else:
            raise DocumentError(f"{place}: the block is not closed")
        language, *words = shlex.split(opened["info"]) or [""]
        options = dict(word.partition("=")[::2] for word in words)
        yield Block(place, language, options, "".join(f"{text}\n" for text in body))


def shell_commands(text: str) -> Iterator[Command]:
    """The commands of a `bash` block: one a line, unless a backslash or a here-document goes on."""
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        command = [line]
        while command[-1].endswith("\\"):
            command.append(next(lines, ""))
        for heredoc in _HEREDOC.finditer(line):
            for inner in lines:
                command.append(inner)
                if inner.strip() == heredoc[2]:
                    break
        yield Command("\n".join(command))


def console_commands(text: str) -> Iterator[Command]:
    """The commands of a `console` block: lines after `$ `, gone on by `> `; the rest is their output."""
    command: list[str] = []
    output: list[str] = []
    for line in [*text.splitlines(), "$ "]:
        if line.startswith("$ "):
            if command:
                yield Command("\n".join(command), "\n".join(output) if output else None)
            command, output = [line[2:]], []
        elif line.startswith("> ") and command and not output:
            command.append(line[2:])
        elif command:
            output.append(line)
        elif line.strip():
            raise DocumentError(f"a console block begins with output, not with `$ `: {line}")


def same_output(shown: str, printed: str) -> bool:
    """Whether `printed` is what is shown; `…` stands for anything in a line; alone, for any lines."""
    pattern = re.escape("\n".join(line.rstrip() for line in shown.strip().splitlines()))
    pattern = re.sub(r"(^|\\\n)…(?=\\\n|$)", r"(?:\1[\\s\\S]*)?", pattern).replace("…", ".*")
    return (
        re.fullmatch(pattern, "\n".join(line.rstrip() for line in printed.strip().splitlines())) is not None
    )
