"""Which tools matter for a message: all of them while they are few, else those the encoder finds nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentkit.models.protocols import Encoder
from agentkit.tools import Tool, ToolContext, Toolset

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors


@dataclass(frozen=True)
class RankedTool:
    """A tool and the cosine similarity of its description to the message."""

    tool: Tool
    similarity: float


class ToolPool:
    """The tools of an agent, of which each turn gets those that its toolset prepares for it.

    Args:
        toolset: The tools; it may change while the agent lives.
        encoder: Embeds names and descriptions, each text once.
    """

    def __init__(self, toolset: Toolset, encoder: Encoder) -> None:
        self._toolset = toolset
        self._encoder = encoder
        self._vectors: dict[str, Vectors] = {}
        self._embedded(toolset.tools())

    def get(self, name: str) -> Tool | None:
        """The tool called `name`, whichever turns may use it."""
        return next((tool for tool in self._toolset.tools() if tool.name == name), None)

    def prepared(self, context: ToolContext) -> ToolRanking:
        """The tools of one turn."""
        tools = tuple(self._toolset.prepare(context))
        return ToolRanking(tools, self._embedded(tools))

    def _embedded(self, tools: Sequence[Tool]) -> list[Vectors]:
        texts = [f"{tool.name.replace('_', ' ')}: {tool.spec.description}" for tool in tools]
        if new := [text for text in dict.fromkeys(texts) if text not in self._vectors]:
            self._vectors.update(zip(new, self._encoder.encode(new), strict=True))
        return [self._vectors[text] for text in texts]


class ToolRanking:
    """The tools of one turn with their vectors.

    Args:
        tools: The tools in their stable order.
        vectors: float32 [d] for each.
    """

    def __init__(self, tools: Sequence[Tool], vectors: Sequence[Vectors]) -> None:
        self._tools = tuple(tools)
        self._vectors = vectors

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
        ranked = [
            RankedTool(tool, float(own @ vector))
            for tool, own in zip(self._tools, self._vectors, strict=True)
        ]
        return sorted(ranked, key=lambda r: -r.similarity)

    def for_prompt(self, ranked: Sequence[RankedTool], most: int) -> list[Tool]:
        """The tools that enter the prompt, in their stable order so that its beginning stays the same.

        Args:
            ranked: Result of `rank`.
            most: How many at most; all of them while they are fewer.
        """
        chosen = {each.tool.name for each in ranked[:most]}
        return [tool for tool in self._tools if tool.name in chosen]
