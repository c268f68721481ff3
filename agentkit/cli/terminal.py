"""The two consoles of the program, and how errors leave it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from agentkit.errors import AgentKitError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def show_error(error: AgentKitError) -> None:
    """Print what happened and what to do about it, on standard error."""
    err.print(Text.assemble(("error: ", "bold red"), error.message), soft_wrap=True)
    if error.hint:
        err.print(Text.assemble(("  → ", "bold"), error.hint), soft_wrap=True)
