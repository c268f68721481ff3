"""Writes files to its output: a program of its own, with nothing but Python's standard library.

Where a process closes a file, it loses all its locks on it, those of SQLite, too
(https://sqlite.org/howtocorrupt.html, section 2.2): another program then takes the write-ahead log away from under it,
and what is stored afterwards is lost. So a process that has a database open lets this one read the file.

Its input is paths, each ended by a zero byte. For each it writes blocks, each after its length in eight bytes, and a
length of zero at the end; a file that is not there is an empty one. At a file that cannot be read it ends.
"""

from __future__ import annotations

import os
import sys
from typing import Final

BLOCK: Final = 1 << 22
LENGTH: Final = 8


def main() -> None:
    """Answer the input."""
    for path in sys.stdin.buffer.read().split(b"\0")[:-1]:
        try:
            with open(os.fsdecode(path), "rb") as file:
                while data := file.read(BLOCK):
                    sys.stdout.buffer.write(len(data).to_bytes(LENGTH, "big") + data)
        except FileNotFoundError:
            pass
        sys.stdout.buffer.write(bytes(LENGTH))
        sys.stdout.flush()  # whole before the next: where that cannot be read, this one is not to blame


if __name__ == "__main__":
    try:
        main()
    except OSError:  # of a file, which the reader misses then; or the reader has gone
        os._exit(1)
