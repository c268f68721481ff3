"""Prompts: one Jinja template per text that a model or a user reads; a bot may override each."""

from agentkit.prompts.library import PromptLibrary

__all__ = ["PromptLibrary"]
