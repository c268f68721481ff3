"""Tools that live elsewhere: on MCP servers, and behind HTTP services that OpenAPI files describe.

What they say of themselves is somebody else's text: cleaned, bounded, never believed (`foreign_tool`).
"""

from agentkit.remote.safe_http import HttpAccess, HttpAnswer

__all__ = ["HttpAccess", "HttpAnswer"]
