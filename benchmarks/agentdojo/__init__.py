"""How the gate does on the reference calls of AgentDojo: `python -m benchmarks.agentdojo`."""
