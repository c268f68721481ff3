"""Demos to show elsewhere: a terminal recording, a moving picture, a web page, a transcript."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from agentkit.cli.exports.cast import cast
from agentkit.cli.exports.markdown import markdown
from agentkit.cli.exports.page import page
from agentkit.cli.exports.screenplay import Pace, Screenplay, screenplay
from agentkit.cli.exports.svg import svg
from agentkit.errors import InputRejected

__all__ = ["EXPORTS", "Pace", "Screenplay", "check_export", "export", "screenplay"]

EXPORTS: Final[dict[str, Callable[..., str]]] = {".cast": cast, ".svg": svg, ".html": page, ".md": markdown}
"""What writes each kind of file, by its ending."""


def check_export(path: Path) -> None:
    """Refuse a file name before anything is played.

    Raises:
        InputRejected: Its ending names no kind of export.
    """
    if path.suffix not in EXPORTS:
        raise InputRejected(
            f"{path} ends in {path.suffix or 'nothing'}, which names no kind of export.",
            hint=f"The endings are: {', '.join(EXPORTS)}.",
        )


def export(play: Screenplay, path: Path, *, steps: bool) -> None:
    """Write a screenplay into a file of the kind that its ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(EXPORTS[path.suffix](play, steps=steps), encoding="utf-8")
