"""Erasing what a user has in the file, so that not even a free page or the write-ahead log holds it.

1. Read what is to go, to know what to search for afterwards.
2. Delete it in one transaction; `PRAGMA secure_delete` overwrites the freed places.
3. Move the write-ahead log into the file and cut it to nothing; wait for readers who still need it.
4. Search the raw bytes of the file, the log and the cache. Copies that an earlier move of a page left behind are
   removed by VACUUM, which writes every page anew; then search again.
"""

from __future__ import annotations

import glob
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from agentkit.errors import ErasureIncomplete, RecordNotFound
from agentkit.store.connection import Connection, Row
from agentkit.store.erasure_records import ErasedKinds, ErasureReceipt, Remnant, Retention
from agentkit.store.patience import in_front, patiently
from agentkit.store.raw_search import RawSearch, pieces_of

_POLL: Final = 0.05  # seconds between two looks whether a reader has gone
_LOOK: Final = 0.1  # seconds that such a look lets no other process begin to write
_BETWEEN_WRITES: Final = 0.002

# Each kind with its rows. Every place in these statements is the number of a conversation.
_CONVERSATION_PARTS: Final = (
    ("events", "SELECT event FROM events WHERE turn IN (SELECT number FROM turns WHERE conversation = ?)"),
    ("calls", "SELECT call_id, call FROM journal WHERE conversation = ?"),
    (
        "approvals",
        "SELECT id, call_id, arguments, hash, reasons, profile, settled, settled_hash, answered_by, answer "
        "FROM approvals WHERE turn IN (SELECT number FROM turns WHERE conversation = ?)",
    ),
    (
        "hand_offs",
        "SELECT id, reason, summary, slots, profile, person, acknowledged, callback, note FROM hand_offs "
        "WHERE conversation = ?",
    ),
    (
        "steps",
        "SELECT message, usage FROM steps WHERE turn IN (SELECT number FROM turns WHERE conversation = ?)",
    ),
    ("summaries", "SELECT text FROM summaries WHERE conversation = ?"),
    ("waiting", "SELECT id, client_msg_id, message FROM inbox WHERE conversation = ?"),
    ("turns", "SELECT id, message, reply FROM turns WHERE conversation = ?"),
    ("conversations", "SELECT id, title FROM conversations WHERE number = ?"),
)
# In an order in which nothing refers to a row that is gone.
_CONVERSATION_DELETES: Final = (
    "UPDATE memories SET turn = NULL WHERE turn IN (SELECT number FROM turns WHERE conversation = ?)",
    "DELETE FROM events WHERE turn IN (SELECT number FROM turns WHERE conversation = ?)",
    "DELETE FROM approvals WHERE turn IN (SELECT number FROM turns WHERE conversation = ?)",
    "DELETE FROM hand_offs WHERE conversation = ?",
    "DELETE FROM journal WHERE conversation = ?",
    "DELETE FROM steps WHERE turn IN (SELECT number FROM turns WHERE conversation = ?)",
    "DELETE FROM summaries WHERE conversation = ?",
    "DELETE FROM inbox WHERE conversation = ?",
    "DELETE FROM leases WHERE conversation = ?",
    "DELETE FROM turns WHERE conversation = ?",
    "DELETE FROM conversations WHERE number = ?",
)

_MEMORIES: Final = "SELECT number, id, kind, text, about, vector FROM memories WHERE tenant = ? AND user = ?"
_ONE_MEMORY: Final = """
SELECT number, id, kind, text, about, vector FROM memories WHERE tenant = ? AND user = ? AND id = ?"""
_DELETE_MEMORY: Final = "DELETE FROM memories WHERE number = ?"
_CONVERSATIONS: Final = "SELECT number FROM conversations WHERE tenant = ? AND user = ?"
_FILES: Final = "SELECT hash, name, content FROM files WHERE tenant = ? AND user = ?"
_DELETE_FILES: Final = "DELETE FROM files WHERE tenant = ? AND user = ?"
_OLD_FILES: Final = "SELECT hash, name, content FROM files WHERE created_at < :files"
_DELETE_OLD_FILES: Final = "DELETE FROM files WHERE created_at < :files"
_DELETE_MARK: Final = "DELETE FROM memory_marks WHERE tenant = ? AND user = ?"

_OLD_CONVERSATIONS: Final = """
SELECT number FROM conversations WHERE created_at < :conversations AND NOT EXISTS (
    SELECT 1 FROM turns WHERE turns.conversation = conversations.number
    AND (turns.status = 'open' OR turns.finished_at >= :conversations))
AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.conversation = conversations.number AND turn IS NULL)
AND NOT EXISTS (
    SELECT 1 FROM hand_offs WHERE hand_offs.conversation = conversations.number AND ended_at IS NULL)"""
_OLD_EVENTS: Final = """
SELECT event FROM events WHERE turn IN (SELECT number FROM turns WHERE finished_at < :events)"""
_DELETE_OLD_EVENTS: Final = """
DELETE FROM events WHERE turn IN (SELECT number FROM turns WHERE finished_at < :events)"""
_OLD_MEMORIES: Final = """
SELECT number, tenant, user, id, kind, text, about, vector FROM memories
WHERE (kind = 'message' AND created_at < :messages) OR (kind = 'fact' AND created_at < :facts)
OR (replaced_by IS NOT NULL AND created_at < :replaced)"""
_COUNT_REWRITTEN: Final = "UPDATE memory_marks SET rewritten = rewritten + 1 WHERE tenant = ? AND user = ?"

_CHECKPOINT: Final = "PRAGMA wal_checkpoint(TRUNCATE)"


class Eraser:
    """Takes rows away and makes sure that they are gone.

    Args:
        connection: The database.
        wait: Seconds to wait for readers of other processes.
        beside: Files and folders that may hold copies, caches say.
    """

    def __init__(self, connection: Connection, wait: float, beside: Sequence[Path]) -> None:
        self._connection = connection
        self._wait = wait
        self._beside = beside

    def erase_user(self, tenant: str, user: str) -> ErasureReceipt:
        """Erase everything of a user.

        Raises:
            ErasureIncomplete: The rows are gone, but a reader kept old pages alive for longer than `wait`.
        """
        whose = (tenant, user)
        pieces = pieces_of(user.encode())
        with self._connection.writing("erase"):
            memories = self._take_memories(self._connection.rows(_MEMORIES, whose), pieces)
            rows = self._connection.rows(_CONVERSATIONS, whose)
            counts = self._take_conversations([row["number"] for row in rows], pieces)
            files = self._connection.rows(_FILES, whose)
            _note(files, pieces)
            self._connection.execute(_DELETE_FILES, whose)
            self._connection.execute(_DELETE_MARK, whose)
        return self._scrub(pieces, ErasedKinds(**counts, **memories, files=len(files)))

    def forget(self, tenant: str, user: str, memory_id: str) -> ErasureReceipt:
        """Erase one memory of a user.

        Raises:
            ErasureIncomplete: As above.
            RecordNotFound: There is no such memory.
        """
        pieces: set[bytes] = set()
        with self._connection.writing("remove_memory"):
            rows = self._connection.rows(_ONE_MEMORY, (tenant, user, memory_id))
            if not rows:
                raise RecordNotFound(f"User {user!r} has no memory {memory_id!r}.")
            counts = self._take_memories(rows, pieces)
            self._connection.execute(_COUNT_REWRITTEN, (tenant, user))
        return self._scrub(pieces, ErasedKinds(**counts))

    def expire(self, retention: Retention, now: datetime) -> ErasureReceipt:
        """Erase what is older than it may be, of all users.

        Args:
            retention: How long each kind is kept.
            now: The present time in UTC.

        Raises:
            ErasureIncomplete: As above.
        """
        pieces: set[bytes] = set()
        with self._connection.writing("expire"):
            counts = self._take_old(retention, now, pieces)
        return self._scrub(pieces, counts)

    def expired(self, retention: Retention, now: datetime) -> ErasedKinds:
        """What `expire` would erase: it is done and undone."""
        with self._connection.trying_to_write():
            return self._take_old(retention, now, set())

    def _take_old(self, retention: Retention, now: datetime, pieces: set[bytes]) -> ErasedKinds:
        since = {
            kind: "" if days is None else (now - timedelta(days=days)).isoformat()
            for kind, days in retention.model_dump().items()
        }  # no time is before ""
        old = self._connection.rows(_OLD_CONVERSATIONS, since)
        counts = Counter(self._take_conversations([row["number"] for row in old], pieces))
        events = self._connection.rows(_OLD_EVENTS, since)
        _note(events, pieces)
        counts["events"] += len(events)
        self._connection.execute(_DELETE_OLD_EVENTS, since)
        memories = self._connection.rows(_OLD_MEMORIES, since)
        counts.update(self._take_memories(memories, pieces))
        self._connection.execute_many(_COUNT_REWRITTEN, {(row["tenant"], row["user"]) for row in memories})
        files = self._connection.rows(_OLD_FILES, since)
        _note(files, pieces)
        counts["files"] += len(files)
        self._connection.execute(_DELETE_OLD_FILES, since)
        return ErasedKinds(**counts)

    def _scrub(self, pieces: set[bytes], counts: ErasedKinds) -> ErasureReceipt:
        """Overwrite and search what was deleted before.

        Args:
            pieces: What is searched for.
            counts: For the receipt.
        """
        started = time.monotonic()
        self._cut_log()
        found = self._search(pieces)
        rewritten = any(found.values())
        if rewritten:
            with self._connection.alone():
                patiently(lambda: self._connection.execute("VACUUM"), self._connection.patience)
            self._cut_log()
            found = self._search(pieces)
        remnants = tuple(Remnant(path=path, pieces=len(each)) for path, each in sorted(found.items()) if each)
        return ErasureReceipt(
            erased=counts,
            searched=tuple(sorted(found)),
            bytes_searched=sum(path.stat().st_size for path in found if path.exists()),
            pieces=len(pieces),
            remnants=remnants,
            rewritten=rewritten,
            not_reached=_copies_of(self._connection.path),
            seconds=time.monotonic() - started,
        )

    def _take_conversations(self, conversations: Sequence[int], pieces: set[bytes]) -> dict[str, int]:
        counts = {kind: 0 for kind, _ in _CONVERSATION_PARTS}
        for number in conversations:
            for kind, query in _CONVERSATION_PARTS:
                rows = self._connection.rows(query, (number,))
                counts[kind] += len(rows)
                _note(rows, pieces)
            for statement in _CONVERSATION_DELETES:
                self._connection.execute(statement, (number,))
        return counts

    def _take_memories(self, rows: Sequence[Row], pieces: set[bytes]) -> dict[str, int]:
        _note(rows, pieces)
        self._connection.execute_many(_DELETE_MEMORY, ((row["number"],) for row in rows))
        facts = sum(row["kind"] == "fact" for row in rows)
        return {"facts": facts, "messages": len(rows) - facts}

    def _cut_log(self) -> None:
        """Move the log into the file and cut it, when nobody reads old pages from it any more."""
        deadline = time.monotonic() + self._wait
        while True:
            if self._log_is_cut():
                return
            if time.monotonic() > deadline:
                raise ErasureIncomplete(
                    f"The rows are deleted, but another program has been reading {self._connection.path} for "
                    f"{self._wait:g} s, and its view keeps the old pages alive.",
                    hint="Close the other program and erase again: that empties the write-ahead log.",
                )
            time.sleep(_POLL)

    def _log_is_cut(self) -> bool:
        """Whether the log could be cut between the writes of others."""
        with self._connection.alone(), in_front(self._connection.path):
            until = time.monotonic() + _LOOK
            while (blocked := self._connection.rows(_CHECKPOINT)[0][0]) and time.monotonic() < until:
                time.sleep(_BETWEEN_WRITES)
        return not blocked

    def _search(self, pieces: set[bytes]) -> dict[Path, set[bytes]]:
        """Which pieces the files hold that no living row holds, too: others may have said the same."""
        search = RawSearch(pieces)
        path = self._connection.path
        files = [path, path.with_name(path.name + "-wal"), *_files_of(self._beside)]
        found = search.in_files(files)
        everywhere = set().union(*found.values())
        living = self._living(RawSearch(everywhere)) if everywhere else set()
        return {file: each - living for file, each in found.items()}

    def _living(self, search: RawSearch) -> set[bytes]:
        """Which of some pieces occur in a row of any table."""
        found: set[bytes] = set()
        with self._connection.reading():
            for row in self._connection.living():
                # Values of a row lie side by side in the file.
                found |= search.in_bytes(b"".join(_bytes(value) for value in row))
        return found


def _note(rows: Iterable[Row], pieces: set[bytes]) -> None:
    for row in rows:
        for value in row:
            pieces |= pieces_of(_bytes(value))


def _bytes(value: object) -> bytes:
    match value:
        case str():
            return value.encode()
        case bytes():
            return value
        case _:
            return b""


def _files_of(places: Iterable[Path]) -> list[Path]:
    return [
        file
        for place in places
        for file in (sorted(place.rglob("*")) if place.is_dir() else [place])
        if file.is_file()
    ]


def _copies_of(path: Path) -> tuple[Path, ...]:
    """Files beside the database that look like copies of it: their owner has to remove them."""
    own = {path.name + ending for ending in ("", "-wal", "-shm", "-journal")}
    beside = (file for file in path.parent.glob(f"{glob.escape(path.stem)}*") if file.is_file())
    return tuple(sorted(file for file in beside if file.name not in own))
