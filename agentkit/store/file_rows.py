"""The files that tools made, named by the SHA-256 of their content."""

from __future__ import annotations

import hashlib
from typing import Final

from agentkit.errors import RecordNotFound, StoreCorrupt
from agentkit.store.call_records import FileRecord
from agentkit.store.failures import storable, validated
from agentkit.store.user_rows import UserRows

_ADD: Final = """
INSERT INTO files (tenant, user, hash, name, media_type, created_at, content) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""

_ONE: Final = """
SELECT hash, name, media_type, created_at, content FROM files WHERE tenant = ? AND user = ? AND hash = ?"""


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

    def file(self, file_hash: str) -> FileRecord:
        """One file."""
        with self._connection.reading():
            row = self._connection.row(_ONE, (self._tenant, self._user, file_hash))
        if row is None:
            raise RecordNotFound(f"User {self._user!r} has no file {file_hash!r}.")
        record = validated(FileRecord, "files", file_hash, dict(row))
        if hashlib.sha256(record.content).hexdigest() != file_hash:
            raise StoreCorrupt(
                f"File {file_hash} of table files does not have the content that it is named by.",
                hint="The database was changed by something else or is damaged; restore it from a backup.",
            )
        return record
