"""Vectors as they lie in the file: little-endian float32, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy

from agentkit.errors import StoreCorrupt, StoreError
from agentkit.store.connection import Row

if TYPE_CHECKING:
    from agentkit.store.records import Vectors

_STORED: Final = numpy.dtype("<f4")


def to_blob(vector: Vectors) -> bytes:
    """The bytes of one vector, float32 [dimension].

    Raises:
        StoreError: It holds something that is no finite number; it would be the nearest to everything, or to nothing.
    """
    if not numpy.isfinite(vector).all():
        raise StoreError(
            "The encoder made a vector that holds something else than finite numbers. Nothing was stored.",
            hint="Its weights are damaged: remove it from the cache folder and fetch it again.",
        )
    return numpy.ascontiguousarray(vector, dtype=_STORED).tobytes()


def from_blobs(table: str, rows: Sequence[Row]) -> Vectors:
    """The vectors of rows with the columns `id`, `dimension` and `vector`.

    Args:
        table: Where the rows are from, for the error.
        rows: All of one encoder.

    Returns:
        float32 [len(rows), dimension], [0, 0] without rows. It is a copy that may be written to.

    Raises:
        StoreCorrupt: A vector is not as long as the first, or as long as its row says.
    """
    if not rows:
        return numpy.zeros((0, 0), dtype=numpy.float32)
    dimension = rows[0]["dimension"]
    for row in rows:
        if row["dimension"] != dimension or len(row["vector"]) != dimension * _STORED.itemsize:
            raise StoreCorrupt(
                f"Row {row['id']} of table {table} holds a vector of {len(row['vector'])} bytes for "
                f"{row['dimension']} numbers; the encoder's others have {dimension}.",
                hint="Embed it again.",
            )
    flat = numpy.frombuffer(b"".join(row["vector"] for row in rows), dtype=_STORED)
    return flat.reshape(len(rows), dimension).astype(numpy.float32)
