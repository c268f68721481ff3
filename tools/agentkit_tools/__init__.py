"""The tools that ship with agentkit, each a model of how to write one.

Clock, calculator, notes, search in memory and in the bot's documents are there at once; a bot names them in
`agent.yaml`. Those that need to be told what they may touch are made in the bot's `tools.py`::

    from agentkit import Merged
    from agentkit_tools import file_tools, query_tools, web_tools

    toolset = Merged(
        file_tools("documents"), query_tools(database="shop.db"), web_tools(hosts=["api.example.com"])
    )

An ordinary plugin, found through its entry point and written against the public names of agentkit only.
"""

from agentkit_tools.files import file_tools
from agentkit_tools.query import query_tools
from agentkit_tools.web import web_tools

__all__ = ["file_tools", "query_tools", "web_tools"]
