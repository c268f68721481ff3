"""The base of every event."""

from __future__ import annotations

from agentkit.messages import Value


class EventValue(Value):
    """A frozen, closed value with the time that the step took which it reports, in milliseconds."""

    milliseconds: float = 0.0
