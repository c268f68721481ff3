"""The command line: `agentkit --help`."""

__all__: list[str] = []
