"""Which tools matter for a message: all of them while they are few, else those that are nearest to it.

Near means near in meaning (the cosine similarity of the encoder's vectors) and in words: rare words that a message
shares with a tool's name and description tell tools apart whose descriptions mean nearly the same. The words only
order the tools; thresholds look at the similarity alone. Figures: `python -m benchmarks.tool_ranking`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agentkit.models.protocols import Encoder
from agentkit.tools import Tool, Toolset

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

_WORD_WEIGHT: Final = 0.2
"""What sharing all of the best tool's words is worth, as cosine similarity; chosen on public rows of tool calls."""
_STEM: Final = 5
"""Letters that two forms of a word share."""
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD: Final = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True)
class RankedTool:
    """A tool and how near it is to a message.

    Args:
        tool: The tool.
        similarity: Cosine similarity of its name and description to the message.
        used: It was called earlier in the conversation.
    """

    tool: Tool
    similarity: float
    used: bool = False


class ToolRanking:
    """The tools of an agent with their vectors, embedded once.

    Args:
        toolset: The tools.
        encoder: Embeds their names and descriptions.
    """

    def __init__(self, toolset: Toolset, encoder: Encoder) -> None:
        self._tools = tuple(toolset.tools())
        texts = [
            f"{_HUMP.sub(' ', tool.name).replace('_', ' ')}: {tool.spec.description}" for tool in self._tools
        ]
        self._vectors = encoder.encode(texts)
        self._words = [_stems(text) for text in texts]
        known = Counter(word for words in self._words for word in words)
        # A word that every tool has tells nothing.
        self._weights = {word: math.log((1 + len(texts)) / count) for word, count in known.items()}
        self._lengths = [math.sqrt(sum(self._weights[w] ** 2 for w in words)) for words in self._words]

    @property
    def tools(self) -> Sequence[Tool]:
        """All tools in their stable order."""
        return self._tools

    def get(self, name: str) -> Tool | None:
        """The tool called `name`, if there is one."""
        return next((tool for tool in self._tools if tool.name == name), None)

    def rank(self, vector: Vectors, text: str = "", used: AbstractSet[str] = frozenset()) -> list[RankedTool]:
        """All tools, nearest first.

        Args:
            vector: float32 [d], the message.
            text: Its words; without them only the meaning counts.
            used: Names of tools that were called earlier in the conversation.
        """
        if not self._tools:
            return []
        similarities = self._vectors @ vector
        shared = self._shared_words(text)
        order = sorted(
            range(len(self._tools)), key=lambda i: -(float(similarities[i]) + _WORD_WEIGHT * shared[i])
        )
        return [
            RankedTool(self._tools[i], float(similarities[i]), self._tools[i].name in used) for i in order
        ]

    def _shared_words(self, text: str) -> list[float]:
        """For each tool how much of it the text says, 1 for the one that it says most of."""
        said = _stems(text)
        shared = [
            sum(self._weights[word] for word in words & said) / length if length else 0.0
            for words, length in zip(self._words, self._lengths, strict=True)
        ]
        most = max(shared)
        return [value / most for value in shared] if most > 0 else shared

    def for_prompt(self, ranked: Sequence[RankedTool], most: int) -> list[Tool]:
        """The tools that enter the prompt, in their stable order so that its beginning stays the same.

        Args:
            ranked: Result of `rank`.
            most: How many at most; all of them while they are fewer.
        """
        chosen = {each.tool.name for each in shortlist(ranked, most)}
        return [tool for tool in self._tools if tool.name in chosen]


def shortlist(ranked: Sequence[RankedTool], most: int) -> list[RankedTool]:
    """The nearest tools, and beside them those that the conversation used: at most half as many again.

    Args:
        ranked: Result of `rank`.
        most: How many of the nearest.
    """
    also = [each for each in ranked[most:] if each.used]
    return [*ranked[:most], *also[: (most + 1) // 2]]


def _stems(text: str) -> frozenset[str]:
    return frozenset(word.casefold()[:_STEM] for word in _WORD.findall(_HUMP.sub(" ", text)))
