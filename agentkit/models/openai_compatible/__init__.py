"""Generators on a server that speaks the OpenAI chat protocol: vLLM, the server of llama.cpp, Ollama and others."""

from agentkit.models.openai_compatible.address import ServerAddress, server_address
from agentkit.models.openai_compatible.connection import Patience
from agentkit.models.openai_compatible.generator import API_KEY_VARIABLE, ServerGenerator

__all__ = [
    "API_KEY_VARIABLE",
    "Patience",
    "ServerAddress",
    "ServerGenerator",
    "server_address",
]
