"""One key from the terminal, without waiting for the end of a line."""

from __future__ import annotations

import sys


def read_key() -> str:
    """The next key, in lower case; empty at the end of the input. Ctrl-C raises as everywhere."""
    try:
        import termios
        import tty
    except ImportError:  # not a Unix terminal: a whole line, then
        line = sys.stdin.readline()
        return line[:1].lower()
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        return sys.stdin.read(1).lower()
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
