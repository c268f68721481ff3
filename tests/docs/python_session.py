"""Runs the Python blocks of a document in one process; see document_runner.py.

Reads `{"place", "code"}` and writes `{"failed", "printed"}`, one JSON object a line.
"""

from __future__ import annotations

import code
import contextlib
import io
import json
import os
import sys


class Session(code.InteractiveInterpreter):
    """An interpreter that remembers whether something went wrong."""

    failed = False

    def showtraceback(self) -> None:
        self.failed = True
        super().showtraceback()

    def run(self, place: str, text: str) -> None:
        """Run one block; its names stay."""
        try:
            self.runcode(compile(text, f"<{place}>", "exec", dont_inherit=True))
        except SyntaxError:
            self.showsyntaxerror()
            self.failed = True
        except SystemExit as end:
            self.failed = end.code not in (None, 0)


def main() -> None:
    """Answer until the input ends."""
    # The answers keep the pipe to themselves: what a library or child process prints past sys.stdout goes to
    # standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path[0] = os.getcwd()  # as for a script in the reader's folder
    session = Session({"__name__": "__main__"})
    for line in sys.stdin:
        block = json.loads(line)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            session.run(block["place"], block["code"])
        answers.write(json.dumps({"failed": session.failed, "printed": printed.getvalue()}) + "\n")
        answers.flush()


main()
