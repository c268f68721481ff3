"""The tools that ship with agentkit: an ordinary plugin."""
