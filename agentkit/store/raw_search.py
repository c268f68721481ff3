"""Searching the raw bytes of files for what was erased: pages that are free, logs, leftovers that no query shows.

What is searched for is cut into pieces of 16 bytes; texts of 8 to 15 bytes are searched for by their first and last
8. Anything shorter, or one byte repeated, cannot be told from chance. Each place of a file is looked at: whoever finds
no piece knows that no 31 bytes in a row of an erased text are left.

Pieces are compared by a 64-bit hash of their bytes, so a piece is reported in error once in 10^9 gigabytes or so and
never missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypeAlias

import numpy

from agentkit.errors import StoreError
from agentkit.store import raw_reader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes: TypeAlias = NDArray[numpy.uint64]

PIECE: Final = 16
"""Bytes of a piece of a text that is at least so long."""
SHORTEST: Final = 8
"""Texts below this many bytes are not searched for."""

_FIRST: Final = numpy.uint64(
    0x9E3779B97F4A7C15
)  # odd numbers with mixed bits (Knuth's multiplicative hashing)
_SECOND: Final = numpy.uint64(0xC2B2AE3D27D4EB4F)
_SHORT: Final = numpy.uint64(0x165667B19E3779F9)
_TABLE_BITS: Final = 22


def pieces_of(value: bytes) -> set[bytes]:
    """What is searched for to find any longer stretch of a value; nothing for a short one."""
    if len(value) >= PIECE:
        starts = [*range(0, len(value) - PIECE, PIECE), len(value) - PIECE]
        pieces = {value[start : start + PIECE] for start in starts}
    elif len(value) >= SHORTEST:
        pieces = {value[:SHORTEST], value[-SHORTEST:]}
    else:
        return set()
    return {piece for piece in pieces if piece.count(piece[:1]) < len(piece)}


class RawSearch:
    """Many pieces, looked for in one pass.

    Args:
        pieces: Each of 16 or 8 bytes.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: dict[int, bytes] = {}
        for piece in pieces:
            eights = numpy.frombuffer(piece, dtype="<u8")
            hashed = _long(eights[:1], eights[1:]) if len(piece) == PIECE else _short(eights)
            self._pieces[int(hashed[0])] = piece
        self._lengths = {len(piece) for piece in self._pieces.values()}
        self._hashes = numpy.array(sorted(self._pieces), dtype=numpy.uint64)
        self._table = numpy.zeros(1 << _TABLE_BITS, dtype=numpy.bool_)
        self._table[_slots(self._hashes)] = True

    def __len__(self) -> int:
        """How many pieces are looked for."""
        return len(self._pieces)

    def in_bytes(self, data: bytes) -> set[bytes]:
        """The pieces that occur in some bytes, at any place."""
        if len(data) < SHORTEST or not self._pieces:
            return set()
        eights = numpy.lib.stride_tricks.sliding_window_view(numpy.frombuffer(data, dtype=numpy.uint8), 8)
        values = (
            numpy.ascontiguousarray(eights).view("<u8").ravel()
        )  # [bytes - 7]: eight bytes from each place
        found = self._among(_short(values)) if SHORTEST in self._lengths else set()
        if PIECE in self._lengths and len(data) >= PIECE:
            found |= self._among(_long(values[:-8], values[8:]))
        return found

    def in_files(self, paths: Iterable[Path]) -> dict[Path, set[bytes]]:
        """The pieces that occur in each file; a file that is not there holds none.

        Raises:
            StoreError: A file cannot be read.
        """
        found: dict[Path, set[bytes]] = {path: set() for path in paths}
        for path, block in _blocks(list(found)):
            found[path] |= self.in_bytes(block)
        return found

    def _among(self, hashes: Hashes) -> set[bytes]:
        candidates = hashes[self._table[_slots(hashes)]]
        hits = candidates[numpy.isin(candidates, self._hashes)]
        return {self._pieces[int(each)] for each in numpy.unique(hits)}


def _long(first: Hashes, second: Hashes) -> Hashes:
    with numpy.errstate(over="ignore"):
        mixed = first * _FIRST + (second ^ (second >> numpy.uint64(29))) * _SECOND
    return mixed.astype(numpy.uint64, copy=False)


def _short(eights: Hashes) -> Hashes:
    with numpy.errstate(over="ignore"):
        mixed = (eights ^ (eights >> numpy.uint64(31))) * _SHORT
    return mixed.astype(numpy.uint64, copy=False)


def _slots(hashes: Hashes) -> NDArray[numpy.intp]:
    return (hashes >> numpy.uint64(64 - _TABLE_BITS)).astype(numpy.intp)


def _blocks(paths: Sequence[Path]) -> Iterator[tuple[Path, bytes]]:
    """Files in blocks that overlap by one byte less than a piece; `raw_reader` says why another process reads them."""
    program = [sys.executable, "-I", "-S", raw_reader.__file__]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
        reader.stdin.close()
        for path in paths:
            tail = b""
            while block := _block(reader.stdout, path):
                yield path, tail + block
                tail = (tail + block)[-(PIECE - 1) :]


def _block(stream: IO[bytes], path: Path) -> bytes:
    header = stream.read(raw_reader.LENGTH)
    if len(header) < raw_reader.LENGTH:
        raise StoreError(
            f"{path} cannot be read, so it is not known whether it still holds what was erased.",
            hint="Check that you may read the file, and erase again.",
        )
    return stream.read(int.from_bytes(header, "big"))
