"""What can still be read of a damaged database, put into a new one that keeps the contract.

The damaged file is not touched: a copy of it is read, row by row, around the pages that cannot be. What is saved is
checked like everything that is read from a file, and then made whole: rows whose owner was lost are left out, and a
turn that lost a step keeps what was said and loses its calls.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from sqlite_utils import Database
from sqlite_utils.db import Table

from agentkit.errors import StoreCorrupt, StoreError
from agentkit.events import load_event
from agentkit.messages import Assistant, ToolCall, User, Value, assistant, dump_message, load_message
from agentkit.store import migrations
from agentkit.store.driver import sqlite3
from agentkit.store.full_text import searchable
from agentkit.store.identifiers import new_id
from agentkit.store.opening import open_connection
from agentkit.store.turn_reading import USAGE

_BUSY_TIMEOUT: Final = 5.0  # seconds
_BATCH: Final = 200  # rows inserted at once
_INTERIOR: Final = 5  # the kind of a page that holds only the numbers of others
_LAST_ROW: Final = 2**62

# What each text must be; a row that holds something else was damaged without a trace.
_CHECKS: Final[dict[str, dict[str, Callable[[str], object]]]] = {
    "turns": {"message": User.model_validate_json, "reply": Assistant.model_validate_json},
    "steps": {"message": load_message, "usage": USAGE.validate_json},
    "journal": {"call": ToolCall.model_validate_json},
    "events": {"event": load_event},
    "inbox": {"message": User.model_validate_json},
}

# Whose conversation it was is also known by what is remembered of its turns.
_LOST_CONVERSATIONS: Final = """
SELECT turns.conversation, memories.tenant, memories.user, min(turns.created_at) AS created_at
FROM turns JOIN memories ON memories.turn = turns.number
WHERE turns.conversation NOT IN (SELECT number FROM conversations) GROUP BY turns.conversation"""

_ADD_CONVERSATION: Final = """
INSERT INTO conversations (number, id, tenant, user, seq, title, created_at)
SELECT :number, :id, :tenant, :user, coalesce(max(seq) + 1, 0), '', :created_at
FROM conversations WHERE tenant = :tenant AND user = :user"""

_WITHOUT_OWNER: Final = (
    "DELETE FROM turns WHERE conversation NOT IN (SELECT number FROM conversations)",
    "DELETE FROM steps WHERE turn NOT IN (SELECT number FROM turns)",
    "DELETE FROM events WHERE turn NOT IN (SELECT number FROM turns)",
    "DELETE FROM journal WHERE turn NOT IN (SELECT number FROM turns)",
    "DELETE FROM approvals WHERE turn NOT IN (SELECT number FROM turns)",
    "DELETE FROM hand_offs WHERE turn NOT IN (SELECT number FROM turns)",
    "DELETE FROM inbox WHERE conversation NOT IN (SELECT number FROM conversations)",
    "DELETE FROM inbox WHERE turn IS NOT NULL AND turn NOT IN (SELECT number FROM turns)",
    "DELETE FROM leases WHERE conversation NOT IN (SELECT number FROM conversations)",
    "UPDATE memories SET turn = NULL WHERE turn NOT IN (SELECT number FROM turns)",
    "DELETE FROM chunks WHERE document NOT IN (SELECT number FROM documents)",
    "DELETE FROM document_tags WHERE document NOT IN (SELECT number FROM documents)",
)

# A step is missing in between or at the end of what its calls need, or a call has lost its row.
_TORN: Final = """
CREATE TEMP TABLE torn AS
SELECT turns.number, turns.status FROM turns
WHERE (SELECT count(*) <> coalesce(max(seq) + 1, 0) FROM steps WHERE steps.turn = turns.number)
OR EXISTS (
    SELECT 1 FROM journal LEFT JOIN steps AS written ON written.turn = journal.turn AND written.seq = journal.step
    LEFT JOIN steps AS answer ON answer.turn = journal.turn AND answer.seq = journal.result_step
    WHERE journal.turn = turns.number
    AND (written.seq IS NULL OR (answer.seq IS NULL) <> (journal.result_step IS NULL))
)
OR (
    SELECT coalesce(sum(json_array_length(steps.message, '$.calls')), 0) FROM steps WHERE steps.turn = turns.number
) <> (SELECT count(*) FROM journal WHERE journal.turn = turns.number)"""

_MEND: Final = (
    "DELETE FROM steps WHERE turn IN (SELECT number FROM torn)",
    "DELETE FROM journal WHERE turn IN (SELECT number FROM torn)",
    "DELETE FROM approvals WHERE turn IN (SELECT number FROM torn)",
    # Turns count from 0 without a gap; first out of the way, so that no two have one number meanwhile.
    """UPDATE turns SET seq = -1 - (
        SELECT count(*) FROM turns AS earlier
        WHERE earlier.conversation = turns.conversation AND earlier.number < turns.number)""",
    "UPDATE turns SET seq = -1 - seq",
    "DELETE FROM summaries",  # they are made again of what is there
    # Readers of memories start anew, and no number is given twice.
    "DELETE FROM memory_marks",
    """INSERT INTO memory_marks (tenant, user, added, rewritten)
    SELECT tenant, user, max(seq) + 1, 1 FROM memories GROUP BY tenant, user""",
)

# What may have been done is not known any more: an open turn without its steps must not go on.
_CLOSE_TORN: Final = """
UPDATE turns SET status = 'interrupted', reply = ?, finished_at = created_at
WHERE status = 'open' AND number IN (SELECT number FROM torn)"""

# The index of words, in tables of FTS5's own, is made again of the chunks that were saved.
_WORDS: Final = "chunk_words"
_CHUNKS: Final = "SELECT number, heading, text FROM chunks"
_ADD_WORDS: Final = "INSERT INTO chunk_words (rowid, heading, text) VALUES (?, ?, ?)"

_COUNT_TORN: Final = "SELECT count(*) FROM torn"


class Recovered(Value):
    """What was saved.

    Args:
        path: The new database.
        rows: Rows that are in it now, by table.
        gaps: Stretches of each table that could not be read.
        refused: Rows that could be read and hold nonsense.
        torn: Turns that lost a step: what was said is kept, their calls are not.
    """

    path: Path
    rows: dict[str, int]
    gaps: dict[str, int]
    refused: int
    torn: int


def recover(damaged: Path, new: Path) -> Recovered:
    """Save what is readable of a database into a new one.

    Args:
        damaged: The database; it stays as it is.
        new: A path where nothing is yet.

    Raises:
        StoreCorrupt: Not even the list of its tables can be read.
        StoreError: There is no such file or no folder for `new`, or something is at `new` already.
    """
    if not damaged.is_file():
        raise StoreError(f"{damaged} is not a file.", hint="Give the path of a database.")
    if new.exists():
        raise StoreError(f"{new} exists already.", hint="Choose a path where nothing is yet.")
    if not new.parent.is_dir():
        raise StoreError(f"There is no folder {new.parent}.", hint="Make it, or choose another path.")
    with tempfile.TemporaryDirectory(dir=new.parent, prefix=".recover-") as folder:
        copy = Path(folder) / "copy.db"
        shutil.copyfile(damaged, copy)
        with suppress(FileNotFoundError):
            shutil.copyfile(f"{damaged}-wal", f"{copy}-wal")
        made = Path(folder) / "new.db"
        report = _salvage(copy, made, damaged)
        made.rename(new)
    return report.model_copy(update={"path": new})


def _salvage(copy: Path, new: Path, damaged: Path) -> Recovered:
    open_connection(new, busy_timeout=_BUSY_TIMEOUT, on_write=None).close()
    _mend_schema(copy, new)
    connection = open_connection(new, busy_timeout=_BUSY_TIMEOUT, on_write=None)
    gaps: dict[str, int] = {}
    refused = 0
    with closing(connection), closing(sqlite3.connect(str(copy), isolation_level=None)) as raw:
        raw.row_factory = sqlite3.Row
        raw.text_factory = lambda data: data.decode("utf-8", "replace")
        source, database = Database(raw, execute_plugins=False), connection.database
        known = _tables(source, damaged)
        database.execute("PRAGMA foreign_keys = OFF")
        with connection.writing("recover"):
            names = [each for each in migrations.table_names() if not each.startswith(_WORDS)]
            for name in names:
                gaps[name] = 0
                found = _rows(source.table(name), gaps) if name in known else iter(())
                refused += _copy_rows(found, database.table(name))
            torn = _make_whole(database)
            rows = {name: database.table(name).count for name in names}
        database.execute("PRAGMA foreign_keys = ON")
    return Recovered(path=new, rows=rows, gaps=gaps, refused=refused, torn=torn)


def _copy_rows(rows: Iterator[dict[str, Any]], target: Table) -> int:
    """Insert what is sound; how many rows were not."""
    columns = set(target.columns_dict)
    refused = 0
    while batch := list(islice(rows, _BATCH)):
        sound = [
            {key: value for key, value in row.items() if key in columns}
            for row in batch
            if _is_sound(target.name, row)
        ]
        refused += len(batch) - len(sound)
        try:
            target.insert_all(sound)
        except sqlite3.IntegrityError:  # one of them breaks a rule of its table: nothing agentkit wrote
            for row in sound:
                try:
                    target.insert(row)
                except sqlite3.IntegrityError:
                    refused += 1
    return refused


def _tables(source: Database, path: Path) -> set[str]:
    try:
        return set(source.table_names())
    except sqlite3.DatabaseError as error:
        raise StoreCorrupt(
            f"Nothing can be read of {path}: {error}.", hint="Restore it from a backup."
        ) from error


def _mend_schema(copy: Path, fresh: Path) -> None:
    """Put the list of tables of a new database in the place of one that cannot be read.

    The same steps make the same tables on the same pages, in a file that was made by this version of agentkit. The
    layout is that of https://sqlite.org/fileformat.html.
    """
    with closing(sqlite3.connect(f"{copy.resolve().as_uri()}?mode=ro", uri=True)) as raw:
        try:
            raw.execute("SELECT count(*), max(length(sql)) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError:
            pass
        else:
            return
    new, content = fresh.read_bytes(), bytearray(copy.read_bytes())
    size = int.from_bytes(new[16:18], "big")
    if len(content) < len(new):
        return
    for page in _schema_pages(new, size):
        content[(page - 1) * size : page * size] = new[(page - 1) * size : page * size]
    content[28:32] = (len(content) // size).to_bytes(4, "big")  # the header counts the pages
    content[32:40] = bytes(8)  # and knows the free ones: none, they are only read
    copy.write_bytes(content)


def _schema_pages(content: bytes, size: int) -> Iterator[int]:
    """The pages of the table that lists all tables: its root is page 1, behind the header of the file."""
    waiting = [1]
    while waiting:
        page = waiting.pop()
        yield page
        start = (page - 1) * size
        header = start + (100 if page == 1 else 0)
        if content[header] != _INTERIOR:
            continue
        waiting.append(int.from_bytes(content[header + 8 : header + 12], "big"))
        for number in range(int.from_bytes(content[header + 3 : header + 5], "big")):
            place = header + 12 + 2 * number
            cell = start + int.from_bytes(content[place : place + 2], "big")
            waiting.append(int.from_bytes(content[cell : cell + 4], "big"))


def _rows(table: Table, gaps: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The readable rows of a table; counts the stretches that are not."""
    if "WITHOUT ROWID" not in table.schema:
        yield from _numbered_rows(table, gaps)
        return
    with suppress(sqlite3.DatabaseError):
        yield from (dict(row) for row in table.rows)
        return
    gaps[table.name] += 1


def _numbered_rows(table: Table, gaps: dict[str, int]) -> Iterator[dict[str, Any]]:
    last = -1
    while True:
        try:
            for row in table.rows_where(
                "rowid > ?", [last], order_by="rowid", select="rowid AS row_number, *"
            ):
                last = int(row["row_number"])
                yield dict(row)
            return
        except sqlite3.DatabaseError:
            gaps[table.name] += 1
            following = _next_readable(table, last)
            if following is None:
                return
            last = following


def _next_readable(table: Table, last: int) -> int | None:
    """The least number behind which the next row can be read, found by doubling and then halving."""
    unreadable, step = last, 1
    while not _is_readable(table, last + step):
        unreadable, step = last + step, step * 2
        if last + step > _LAST_ROW:
            return None
    readable = last + step
    while readable - unreadable > 1:
        middle = (readable + unreadable) // 2
        if _is_readable(table, middle):
            readable = middle
        else:
            unreadable = middle
    return readable


def _is_readable(table: Table, after: int) -> bool:
    try:
        list(table.rows_where("rowid > ?", [after], order_by="rowid", limit=1))
    except sqlite3.DatabaseError:
        return False
    return True


def _is_sound(table: str, row: dict[str, Any]) -> bool:
    try:
        for column, check in _CHECKS.get(table, {}).items():
            if row.get(column) is not None:
                check(row[column])
    except (ValidationError, TypeError):
        return False
    return True


def _make_whole(database: Database) -> int:
    """Leave out what lost its owner, close what is torn, count anew; how many turns were torn."""
    for number, tenant, user, created_at in database.execute(_LOST_CONVERSATIONS).fetchall():
        values = {"number": number, "id": new_id(), "tenant": tenant, "user": user, "created_at": created_at}
        database.execute(_ADD_CONVERSATION, values)
    for statement in _WITHOUT_OWNER:
        database.execute(statement)
    database.execute(_TORN)
    torn = int(database.execute(_COUNT_TORN).fetchone()[0])
    database.execute(_CLOSE_TORN, [dump_message(assistant())])
    for statement in _MEND:
        database.execute(statement)
    for number, heading, text in database.execute(_CHUNKS).fetchall():
        database.execute(_ADD_WORDS, (number, searchable(heading), searchable(text)))
    return torn
