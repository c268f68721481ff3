"""Many workers on one database, killed again and again, and a check of every promise at the end."""

from agentkit.testing.soak.run import SoakPlan, SoakReport, run_soak

__all__ = ["SoakPlan", "SoakReport", "run_soak"]
