"""An encoder that remembers on disk what it embedded, by the hash of the text.

For texts of a bot's author (examples of intents, knowledge): a fresh database, or three changed examples of a
thousand, should cost no second pass over the rest. What users write does not belong here: the file holds no text, but
a vector says something about it, and erasing a user does not look into this file.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy

from agentkit.errors import ModelError

if TYPE_CHECKING:
    from agentkit.models.protocols import Encoder, Vectors

Result = TypeVar("Result")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY,      -- SHA-256 of encoder and text
    vector BLOB NOT NULL,      -- float32, little-endian
    used REAL NOT NULL         -- seconds since 1970
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS vectors_by_use ON vectors (used);
"""
_MOST: Final = 100_000  # vectors; 150 MB at 384 dimensions
_NOTED_EVERY: Final = 86_400.0  # seconds
_WAIT: Final = 30.0  # seconds for another process that writes


class CachedEncoder:
    """Implements `Encoder` over another one; threads and processes may share the file.

    Args:
        encoder: Embeds what the file does not hold.
        path: The file; made with its folder when needed, made anew when it is damaged.
        most: The vectors used last are kept, at most so many.
    """

    def __init__(self, encoder: Encoder, path: Path, *, most: int = _MOST) -> None:
        self.id = encoder.id
        self.dimension = encoder.dimension
        self.encoder = encoder
        self._path = path
        self._most = most

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder`; each text that is not in the file is embedded once.

        Raises:
            ModelError: The file cannot be used.
        """
        keys = [self._key(text) for text in texts]
        vectors = self._transaction(lambda connection: self._stored(connection, keys))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        fresh = {}
        if missing:
            fresh = dict(zip(missing, self.encoder.encode(list(missing.values())), strict=True))
            vectors |= fresh
        self._transaction(lambda connection: self._store(connection, fresh, keys))
        empty = numpy.zeros((0, self.dimension), dtype=numpy.float32)
        return numpy.stack([vectors[key] for key in keys]) if keys else empty

    def close(self) -> None:
        """Nothing to free: the encoder belongs to who made it."""

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.id}\0{text}".encode("utf-8", "surrogatepass")).digest()

    def _transaction(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `action` returns; a damaged file is thrown away first, as all that it held can be made again."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return self._attempt(action)
            except sqlite3.OperationalError:  # locked, full, read-only: the file is sound
                raise
            except sqlite3.DatabaseError:
                self._path.unlink(missing_ok=True)
                return self._attempt(action)
        except (OSError, sqlite3.Error) as error:
            raise ModelError(
                f"the cache of vectors {self._path} cannot be used: {error}",
                hint="Check the free space and who may write there; the file may be deleted at any time.",
            ) from error

    def _attempt(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        with closing(sqlite3.connect(self._path, timeout=_WAIT)) as connection, connection:
            connection.executescript(_SCHEMA)
            return action(connection)

    def _stored(self, connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        found: dict[bytes, Vectors] = {}
        for key in keys:
            row = connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
            if row is not None and len(row[0]) == 4 * self.dimension:
                found[key] = numpy.frombuffer(row[0], dtype="<f4")
        return found

    def _store(
        self, connection: sqlite3.Connection, fresh: dict[bytes, Vectors], used: Sequence[bytes]
    ) -> None:
        now = time.time()
        connection.executemany(
            "INSERT OR REPLACE INTO vectors (key, vector, used) VALUES (?, ?, ?)",
            [(key, vector.astype("<f4").tobytes(), now) for key, vector in fresh.items()],
        )
        # Noted once a day: a cache that is only read should cost no write to the disk.
        connection.executemany(
            "UPDATE vectors SET used = ? WHERE key = ? AND used < ?",
            [(now, key, now - _NOTED_EVERY) for key in used],
        )
        (count,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
        if count > self._most:
            connection.execute(
                "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors ORDER BY used LIMIT ?)",
                (count - self._most,),
            )
