"""Results that are not pasted into the prompt: files and long tables, stored by their hash and offered by handle."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from agentkit.errors import ToolFailed
from agentkit.tools.context import ToolContext
from agentkit.tools.results import ResultLimits, text_and_data
from agentkit.tools.services import file_service

FILE_KEY: Final = "file_sha256"
"""Field of a result that holds the hash of a stored file; the model reads `file#1` there."""

_LARGEST_FILE: Final = 16_000_000


@dataclass(frozen=True)
class FileResult:
    """A file for a tool to return. The model reads its name, kind, size and a handle.

    Another tool takes the handle with an argument marked `Authority("file")` and reads the file through
    `file_service(context)`.

    Args:
        content: Its bytes, 16 MB at most.
        name: What it is called.
        media_type: What it holds.
    """

    content: bytes
    name: str
    media_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Table:
    """Rows for a tool to return. The model reads the first ones; if there are more, all are a CSV file.

    Args:
        columns: Their names.
        rows: Values that JSON can hold, one for each column.
        shown: How many rows the model reads.
        name: What the file is called.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    shown: int = 20
    name: str = "table.csv"


def attached(value: FileResult | Table, context: ToolContext, limits: ResultLimits) -> tuple[str, JsonValue]:
    """A file or table as the text that the model reads and as JSON; what is too long for it is stored.

    Raises:
        NotJson: A row holds something else than JSON values.
        ToolFailed: The file is too large, or the agent keeps no files.
    """
    if isinstance(value, FileResult):
        return text_and_data(_stored(value, context), limits)
    rows = [list(row) for row in value.rows]
    if len(rows) <= value.shown:
        text, data = text_and_data({"columns": [*value.columns], "rows": rows}, limits)
        # Values one beside the other: half the tokens of JSON.
        return (
            ("\n".join(_line(row) for row in (value.columns, *rows)), data)
            if data is not None
            else (text, data)
        )
    text_and_data(rows, ResultLimits(characters=_LARGEST_FILE))  # only what JSON can hold
    file = io.StringIO()
    csv.writer(file).writerows([value.columns, *rows])
    stored = _stored(FileResult(file.getvalue().encode(), value.name, "text/csv"), context)
    first = rows[: value.shown]
    more = len(rows) - len(first)
    return text_and_data({"columns": [*value.columns], "rows": first, "more_rows": more, **stored}, limits)


def _stored(file: FileResult, context: ToolContext) -> dict[str, JsonValue]:
    if len(file.content) > _LARGEST_FILE:
        raise ToolFailed(f"the file {file.name} has {len(file.content):,} bytes, too many to keep")
    digest = file_service(context).save(file.content, file.name, file.media_type)
    return {
        FILE_KEY: digest,
        "name": file.name,
        "media_type": file.media_type,
        "bytes": len(file.content),
    }


def _line(values: Sequence[Any]) -> str:
    return " | ".join(
        v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str) for v in values
    )
