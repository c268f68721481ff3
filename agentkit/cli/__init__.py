"""The command line: `agentkit --help`."""
