"""agentkit: a local-first agent framework."""

__version__ = "0.1.0"
