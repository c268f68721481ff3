"""The values of a store about what is erased and how long something is kept; the others: `records`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from agentkit.messages import Value


class ErasedKinds(Value):
    """How many rows of each kind were erased, or would be."""

    conversations: int = 0
    turns: int = 0
    steps: int = 0
    calls: int = 0
    approvals: int = 0
    hand_offs: int = 0
    events: int = 0
    waiting: int = 0
    summaries: int = 0
    messages: int = 0
    facts: int = 0
    files: int = 0


class Retention(Value):
    """For how many days each kind is kept; None: for ever.

    Args:
        conversations: Whole conversations, since their last turn, and what went to people of them; what is remembered
            of them stays, and so does a conversation that a person is still to answer.
        events: Traces of turns.
        messages: Remembered messages.
        facts: Remembered facts.
        replaced: Facts that a newer one took the place of, since they were stored.
        files: Files that tools made.
    """

    conversations: float | None = Field(default=None, ge=0)
    events: float | None = Field(default=None, ge=0)
    messages: float | None = Field(default=None, ge=0)
    facts: float | None = Field(default=None, ge=0)
    replaced: float | None = Field(default=None, ge=0)
    files: float | None = Field(default=None, ge=0)


class Remnant(Value):
    """A file that still holds something of what was erased, and how many pieces of it."""

    path: Path
    pieces: int


class ErasureReceipt(Value):
    """What was erased, where it was searched for afterwards, and what cannot be reached. It holds no content.

    Args:
        erased: Counts.
        searched: Files whose raw bytes were searched.
        bytes_searched: Their size.
        pieces: How many pieces of erased text were searched for.
        remnants: Where something was found that no living row explains; empty is the promise.
        rewritten: Whether every page of the file had to be written anew to reach that.
        not_reached: Files beside the database that look like copies of it.
        seconds: What overwriting and searching took.
    """

    erased: ErasedKinds
    searched: tuple[Path, ...]
    bytes_searched: int
    pieces: int
    remnants: tuple[Remnant, ...]
    rewritten: bool
    not_reached: tuple[Path, ...]
    seconds: float
