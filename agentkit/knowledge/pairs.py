"""Question/answer pairs from a table: one row a pair, columns `question` and `answer`."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from agentkit.errors import BotFileError
from agentkit.knowledge.chunking import Chunk

_QUESTION: Final = ("question", "questions", "q")
_ANSWER: Final = ("answer", "answers", "a")
_DELIMITERS: Final = (",", ";", "\t")
_FORM: Final = (
    "The first line names the columns: question,answer. Texts with commas or line breaks stand in quotes."
)


def read_pairs(text: str, path: Path) -> list[Chunk]:
    """The pairs of a CSV file: the question is the heading of its answer.

    Args:
        text: The file; separated by commas, semicolons or tabs, whichever its first line uses.
        path: Its name, for messages.

    Raises:
        BotFileError: A column is missing, a row lacks its question or answer, or a question is there twice with two
            answers; names the line.
    """
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    chunks: list[Chunk] = []
    asked: dict[str, tuple[int, str]] = {}
    search_from = 0
    try:
        names = [name.strip().casefold() for name in next(reader, [])]
        question_at, answer_at = (_column(names, wanted, path) for wanted in (_QUESTION, _ANSWER))
        line = reader.line_num + 1
        for row in reader:
            if any(cell.strip() for cell in row):
                question, answer = (
                    row[place].strip() if place < len(row) else "" for place in (question_at, answer_at)
                )
                _check(question, answer, asked, path, line)
                # Quotes inside of an answer are doubled in the file; then its place is that of the row.
                found = text.find(answer, search_from)
                search_from = max(search_from, found)
                chunks.append(Chunk(question, answer, search_from, search_from + len(answer)))
            line = reader.line_num + 1
    except csv.Error as problem:
        raise BotFileError(
            f"is no CSV: {problem}", path=path, line=reader.line_num or 1, hint=_FORM
        ) from problem
    if not chunks:
        raise BotFileError("holds no question", path=path, hint=_FORM)
    return chunks


def _column(names: list[str], wanted: tuple[str, ...], path: Path) -> int:
    for place, name in enumerate(names):
        if name in wanted:
            return place
    raise BotFileError(
        f"there is no column {wanted[0]!r}; it has: {', '.join(names) or 'none'}",
        path=path,
        line=1,
        hint=_FORM,
    )


def _check(question: str, answer: str, asked: dict[str, tuple[int, str]], path: Path, line: int) -> None:
    for name, value in (("question", question), ("answer", answer)):
        if not value:
            raise BotFileError("is empty", path=path, line=line, field=name, hint=_FORM)
    known = asked.setdefault(" ".join(question.casefold().split()), (line, answer))
    if known[1] != answer:
        raise BotFileError(
            f"line {known[0]} asks the same and answers otherwise",
            path=path,
            line=line,
            field="question",
            hint="Keep one of them.",
        )
