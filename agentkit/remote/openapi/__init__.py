"""Tools from the description of an HTTP service."""

from agentkit.remote.openapi.document import load_document
from agentkit.remote.openapi.settings import ServiceSettings
from agentkit.remote.openapi.toolset import ServiceToolset

__all__ = ["ServiceSettings", "ServiceToolset", "load_document"]
