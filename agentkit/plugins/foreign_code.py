"""Loading code that somebody else wrote: whatever it raises becomes an error with a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agentkit.errors import AgentKitError


@contextmanager
def naming_failures(name: Callable[[Exception | SystemExit], AgentKitError]) -> Iterator[None]:
    """A block that runs foreign code: anything it raises leaves as what `name` makes of it.

    What `name` gives back unchanged passes as it is, and so does Ctrl-C.
    """
    try:
        yield
    except (Exception, SystemExit) as problem:  # one of the two places: importing a plugin may raise anything
        named = name(problem)
        if named is problem:
            raise
        raise named from problem
