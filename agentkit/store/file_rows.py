"""The files that tools made, named by the SHA-256 of their content."""

from __future__ import annotations

import hashlib
from typing import Final

from agentkit.errors import RecordNotFound, StoreCorrupt
from agentkit.store.call_records import FileRecord
from agentkit.store.connection import Row
from agentkit.store.failures import storable, validated
from agentkit.store.user_rows import UserRows

_ADD: Final = """
INSERT INTO files (tenant, user, hash, name, media_type, created_at, content) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""

_ONE: Final = """
SELECT hash, name, media_type, created_at, content FROM files WHERE tenant = ? AND user = ? AND hash = ?"""


_ALL: Final = """
SELECT hash, name, media_type, created_at, content FROM files WHERE tenant = ? AND user = ?
ORDER BY created_at, hash"""


class FileRows(UserRows):
    """Implements `protocol.Files`, where every method is described."""

    def save_file(self, content: bytes, *, name: str, media_type: str) -> str:
        """Keep a file, once for each content."""
        digest = hashlib.sha256(content).hexdigest()
        about = (storable(name, "the name of a file"), storable(media_type, "the kind of a file"))
        with self._connection.writing("save_file"):
            values = (self._tenant, self._user, digest, *about, self._now(), content)
            self._connection.execute(_ADD, values)
        return digest

    def files(self) -> list[FileRecord]:
        """All files of this user, oldest first."""
        with self._connection.reading():
            rows = self._connection.rows(_ALL, (self._tenant, self._user))
        return [_record(row) for row in rows]

    def file(self, file_hash: str) -> FileRecord:
        """One file."""
        with self._connection.reading():
            row = self._connection.row(_ONE, (self._tenant, self._user, file_hash))
        if row is None:
            raise RecordNotFound(f"User {self._user!r} has no file {file_hash!r}.")
        return _record(row)


def _record(row: Row) -> FileRecord:
    record = validated(FileRecord, "files", row["hash"], dict(row))
    if hashlib.sha256(record.content).hexdigest() != record.hash:
        raise StoreCorrupt(
            f"File {record.hash} of table files does not have the content that it is named by.",
            hint="The database was changed by something else or is damaged; restore it from a backup.",
        )
    return record
