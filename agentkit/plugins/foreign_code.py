"""Running code that somebody else wrote, when it is loaded: whatever it raises becomes an error with a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agentkit.errors import AgentKitError


@contextmanager
def naming_failures(name: Callable[[Exception | SystemExit], AgentKitError]) -> Iterator[None]:
    """A block that runs foreign code: anything it raises leaves as what `name` makes of it.

    Errors of agentkit pass as they are, and so does Ctrl-C.
    """
    try:
        yield
    except AgentKitError:
        raise
    except (Exception, SystemExit) as problem:  # one of the two places: importing a plugin may raise anything
        raise name(problem) from problem
