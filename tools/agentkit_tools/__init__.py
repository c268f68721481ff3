"""The tools that ship with agentkit: clock, calculator, notes and search in memory.

An ordinary plugin, found through its entry point and written against the public names of agentkit only.
"""
