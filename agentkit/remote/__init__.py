"""Tools that live elsewhere: on MCP servers, and behind HTTP services that OpenAPI files describe.

What they say of themselves is somebody else's text: cleaned, bounded, never believed (`foreign_tool`).
"""

__all__: list[str] = []
