"""agentkit.store"""
