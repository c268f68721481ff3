"""Medians, spreads and ratios of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from agentkit.messages import Value


class Spread(Value):
    """Several measurements of one figure: the middle one, the least, the greatest, and how many there were."""

    median: float
    least: float
    greatest: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Median and extremes of `values`, of which there must be one at least."""
    return Spread(
        median=statistics.median(values), least=min(values), greatest=max(values), count=len(values)
    )


def ratio(of: Sequence[float | None], to: Sequence[float | None]) -> Spread | None:
    """How many times `to` each `of` is, round by round, so that what slows a whole round down cancels out.

    Args:
        of: One value a round; None where there is none.
        to: The values to compare with, in the same rounds; none of them 0.

    Returns:
        The spread of the ratios; None if no round has both. Where one of the two was measured in a single round
        only, that value serves all rounds of the other.
    """
    known_of = [value for value in of if value is not None]
    known_to = [value for value in to if value is not None]
    if not known_of or not known_to:
        return None
    if len(known_of) == 1 or len(known_to) == 1:
        return spread([one / other for one in known_of for other in known_to])
    pairs = [
        (one, other) for one, other in zip(of, to, strict=False) if one is not None and other is not None
    ]
    return spread([one / other for one, other in pairs]) if pairs else None
