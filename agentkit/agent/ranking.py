"""Which tools matter for a message: all of them while they are few, else those the encoder finds nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit.models.protocols import Encoder
from agentkit.tools import Tool, Toolset

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors


@dataclass(frozen=True)
class RankedTool:
    """A tool and the cosine similarity of its description to the message."""

    tool: Tool
    similarity: float


class ToolRanking:
    """The tools of an agent with their vectors, embedded once.

    Args:
        toolset: The tools.
        encoder: Embeds their names and descriptions.
    """

    def __init__(self, toolset: Toolset, encoder: Encoder) -> None:
        self._tools = tuple(toolset.tools())
        texts = [f"{tool.name.replace('_', ' ')}: {tool.spec.description}" for tool in self._tools]
        self._vectors = encoder.encode(texts)

    @property
    def tools(self) -> Sequence[Tool]:
        """All tools in their stable order."""
        return self._tools

    def get(self, name: str) -> Tool | None:
        """The tool called `name`, if there is one."""
        return next((tool for tool in self._tools if tool.name == name), None)

    def rank(self, vector: Vectors) -> list[RankedTool]:
        """All tools, most similar first.

        Args:
            vector: float32 [d], the message.
        """
        if not self._tools:
            return []
        similarities = self._vectors @ vector
        ranked = [RankedTool(tool, float(s)) for tool, s in zip(self._tools, similarities, strict=True)]
        return sorted(ranked, key=lambda r: -r.similarity)

    def for_prompt(self, ranked: Sequence[RankedTool], most: int) -> list[Tool]:
        """The tools that enter the prompt, in their stable order so that its beginning stays the same.

        Args:
            ranked: Result of `rank`.
            most: How many at most; all of them while they are fewer.
        """
        chosen = {each.tool.name for each in ranked[:most]}
        return [tool for tool in self._tools if tool.name in chosen]
