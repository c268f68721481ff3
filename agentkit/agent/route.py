"""Where a message goes: a pure function from what was perceived to one of a few routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pydantic import JsonValue

from agentkit.agent.candidates import listable, narrow, trusted_text
from agentkit.agent.ranking import RankedTool, ToolRanking, shortlist
from agentkit.agent.settings import Settings
from agentkit.events import ArgumentAsked, DeclineReason, PassageFound, Recollection
from agentkit.intents import Binding, Prediction
from agentkit.tools import Tool

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

# A message that answers the bot's question may look like any intent; above this probability it is a new wish.
_CHANGE_OF_SUBJECT = 0.8


@dataclass(frozen=True)
class Perception:
    """What one encoder pass said about a message.

    Args:
        vector: float32 [d].
        prediction: The intent, or None where the bot has no intents.
        memories: Recalled, best first, above the threshold.
        passages: Found, best first, above the threshold.
        tools: All tools, most similar first.
    """

    vector: Vectors
    prediction: Prediction | None
    memories: tuple[Recollection, ...]
    passages: tuple[PassageFound, ...]
    tools: tuple[RankedTool, ...]


@dataclass(frozen=True)
class StoredAnswer:
    """The intent has an answer that is always the same."""

    intent: str
    template: str


@dataclass(frozen=True)
class HandOver:
    """The intent belongs to a person."""

    reason: str


@dataclass(frozen=True)
class UseTools:
    """One of these tools must be called.

    Args:
        tools: In the author's order of preference.
        intent: What led here.
        known: Arguments that the user settled in earlier turns.
    """

    tools: tuple[Tool, ...]
    intent: str | None
    known: Mapping[str, JsonValue]


@dataclass(frozen=True)
class UseKnowledge:
    """The passages are the evidence; whether they answer the question is judged next."""

    passages: tuple[PassageFound, ...]


@dataclass(frozen=True)
class UseMemory:
    """The user asks for what they said earlier."""

    facts: tuple[Recollection, ...]


@dataclass(frozen=True)
class Reason:
    """No binding decides: the generator chooses among tools, and passages are evidence."""

    tools: tuple[Tool, ...]
    passages: tuple[PassageFound, ...]


@dataclass(frozen=True)
class Decline:
    """Nothing fits; the generator is not asked."""

    reason: DeclineReason


Route: TypeAlias = StoredAnswer | HandOver | UseTools | UseKnowledge | UseMemory | Reason | Decline


def choose_route(
    text: str,
    seen: Perception,
    *,
    pending: ArgumentAsked | None,
    bindings: Mapping[str, Binding],
    tools: ToolRanking,
    settings: Settings,
) -> Route:
    """Decide where a message goes.

    Args:
        text: The user message.
        seen: What was perceived.
        pending: The question that the bot asked in the previous turn, if it did.
        bindings: What the author bound to each intent.
        tools: The agent's tools.
        settings: Thresholds.
    """
    if pending is not None and (route := _continued(text, pending, seen.prediction, tools)):
        return route
    if seen.prediction is None:
        return _unbound(seen, settings)
    if seen.prediction.intent is None:
        return _from_memory(seen, settings) or Decline("out_of_scope")
    intent = seen.prediction.intent
    binding = bindings.get(intent)
    if binding is None:
        return _unbound(seen, settings)
    if binding.answer is not None:
        return StoredAnswer(intent, binding.answer)
    if binding.tools:
        bound = tuple(tool for name in binding.tools if (tool := tools.get(name)))
        return UseTools(bound, intent, {})
    if binding.hand_off:
        return HandOver(intent)
    if binding.knowledge:
        return (
            _from_knowledge(seen, binding.documents) or _from_memory(seen, settings) or Decline("no_evidence")
        )
    return _unbound(seen, settings)


def _continued(
    text: str, pending: ArgumentAsked, prediction: Prediction | None, tools: ToolRanking
) -> UseTools | None:
    """The message as the answer to the bot's question, if it can be one."""
    tool = tools.get(pending.tool)
    if tool is None:
        return None
    if listable(tool, pending.argument):
        is_answer = pending.argument in narrow_here(tool, text)
    else:
        is_answer = not _changes_subject(pending, prediction)
    return UseTools((tool,), pending.intent, pending.known) if is_answer else None


def narrow_here(tool: Tool, text: str) -> set[str]:
    """Names of the authority arguments that `text` itself gives a value for."""
    narrowed = narrow(tool, trusted_text(text, ()), {})
    properties = narrowed.spec.parameters["properties"]
    return {name for name in tool.authority if "enum" in properties.get(name, {})}


def _changes_subject(pending: ArgumentAsked, prediction: Prediction | None) -> bool:
    return (
        prediction is not None
        and prediction.intent not in (None, pending.intent)
        and prediction.probability >= _CHANGE_OF_SUBJECT
    )


def _from_knowledge(seen: Perception, documents: Sequence[str]) -> UseKnowledge | None:
    passages = tuple(p for p in seen.passages if not documents or p.document in documents)
    return UseKnowledge(passages) if passages else None


def _from_memory(seen: Perception, settings: Settings) -> UseMemory | None:
    near = [
        m for m in seen.memories if m.kind == "fact" and m.similarity >= settings.memory_answer_similarity
    ]
    return UseMemory(tuple(near[:2])) if near else None


def _unbound(seen: Perception, settings: Settings) -> Route:
    best = shortlist(seen.tools, settings.max_tools)
    near = [ranked for ranked in best if ranked.used or ranked.similarity >= settings.tool_similarity]
    # What was used before may be meant again, but does not make a message a matter for tools.
    if any(ranked.similarity >= settings.tool_similarity for ranked in near):
        return Reason(tuple(ranked.tool for ranked in near), seen.passages)
    return _from_knowledge(seen, ()) or _from_memory(seen, settings) or Decline("no_evidence")
