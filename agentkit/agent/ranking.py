"""Which tools matter for a message: all of them while they are few, else those that are nearest to it.

Near means near in meaning (the cosine similarity of the encoder's vectors) and in words: rare words that a message
shares with a tool's name and description tell tools apart whose descriptions mean nearly the same. The words only
order the tools; thresholds look at the similarity alone. Figures: `python -m benchmarks.tool_ranking`.
"""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from agentkit.models.protocols import Encoder
from agentkit.tools import Tool, ToolContext, Toolset

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

_WORD_WEIGHT: Final = 0.2
"""What sharing all of the best tool's words is worth, as cosine similarity; chosen on public rows of tool calls."""
_STEM: Final = 5
"""Letters that two forms of a word share."""
_MOST_INDEXES: Final = 16
"""Different choices of tools, for different users, whose words are kept."""
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
        self._indexes: OrderedDict[tuple[str, ...], _Index] = OrderedDict()
        self._index(toolset.tools())

    @property
    def tools(self) -> Sequence[Tool]:
        """All tools, whichever turns may use them."""
        return self._toolset.tools()

    def get(self, name: str) -> Tool | None:
        """The tool called `name`, whichever turns may use it."""
        return next((tool for tool in self.tools if tool.name == name), None)

    def prepared(self, context: ToolContext, *, only_looking: bool = False) -> ToolRanking:
        """The tools of one turn; of a bot with flows, only those without an effect: flows alone have any."""
        tools = tuple(
            tool for tool in self._toolset.prepare(context) if tool.effect == "read" or not only_looking
        )
        return ToolRanking(tools, self._index(tools))

    def _index(self, tools: Sequence[Tool]) -> _Index:
        texts = tuple(
            f"{_HUMP.sub(' ', tool.name).replace('_', ' ')}: {tool.spec.description}" for tool in tools
        )
        if texts not in self._indexes:
            if new := [text for text in dict.fromkeys(texts) if text not in self._vectors]:
                self._vectors.update(zip(new, self._encoder.encode(new), strict=True))
            self._indexes[texts] = _Index(texts, [self._vectors[text] for text in texts])
            if len(self._indexes) > _MOST_INDEXES:
                self._indexes.popitem(last=False)
        return self._indexes[texts]


class _Index:
    """What a message is compared with: vectors and words of names and descriptions."""

    def __init__(self, texts: Sequence[str], vectors: Sequence[Vectors]) -> None:
        import numpy

        self.vectors = numpy.stack(vectors) if vectors else numpy.zeros((0, 0), numpy.float32)
        self.words = [_stems(text) for text in texts]
        known = Counter(word for words in self.words for word in words)
        # A word that every tool has tells nothing.
        self.weights = {word: math.log((1 + len(texts)) / count) for word, count in known.items()}
        self.lengths = [math.sqrt(sum(self.weights[w] ** 2 for w in words)) for words in self.words]


@cache
def _no_index() -> _Index:
    return _Index((), ())


class ToolRanking:
    """The tools of one turn, and which of them matter for a message. Made by `ToolPool.prepared`.

    Args:
        tools: The tools in their stable order.
        index: What a message is compared with; None where there are no tools.
    """

    def __init__(self, tools: Sequence[Tool] = (), index: _Index | None = None) -> None:
        self._tools = tuple(tools)
        self._index = index or _no_index()

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
        similarities = [float(each) for each in self._index.vectors @ vector]
        shared = self._shared_words(text)
        order = sorted(range(len(self._tools)), key=lambda i: -(similarities[i] + _WORD_WEIGHT * shared[i]))
        return [RankedTool(self._tools[i], similarities[i], self._tools[i].name in used) for i in order]

    def _shared_words(self, text: str) -> list[float]:
        """For each tool how much of it the text says, 1 for the one that it says most of."""
        said, index = _stems(text), self._index
        shared = [
            sum(index.weights[word] for word in words & said) / length if length else 0.0
            for words, length in zip(index.words, index.lengths, strict=True)
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
