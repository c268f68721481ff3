"""`python -m agentkit` is `agentkit`."""

from agentkit.cli.main import main

main()
