"""What the conversations in a database say about a bot: how much it settles alone, and what it lacks."""

from agentkit.analytics.measuring import measure
from agentkit.analytics.page import as_html
from agentkit.analytics.report import Report

__all__ = ["Report", "as_html", "measure"]
