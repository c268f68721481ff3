"""Business processes as data: flows, what a message asks of them, and the dialogue that follows."""

from agentkit.service.sketch import Awaiting, FlowSketch, SlotSketch

__all__ = ["Awaiting", "FlowSketch", "SlotSketch"]
