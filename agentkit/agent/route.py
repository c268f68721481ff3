"""Where a message goes: a pure function from what was perceived to one of a few routes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pydantic import JsonValue

from agentkit.agent.candidates import TrustedText, listable, narrow
from agentkit.agent.ranking import RankedTool, ToolRanking, shortlist
from agentkit.agent.settings import Settings
from agentkit.events import ArgumentAsked, DeclineReason, IntentAsked, PassageFound, Recollection
from agentkit.intents import Binding, Prediction
from agentkit.tools import Tool

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

# A message that answers the bot's question may look like any intent; above this probability it is a new wish.
_CHANGE_OF_SUBJECT = 0.8
# Words up to which "1" answers the bot's question and is no part of an order number or an amount.
_SHORT_ANSWER = 6


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
class AskWhich:
    """Two intents that lead to different things fit about equally well."""

    intents: tuple[str, ...]


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


Route: TypeAlias = StoredAnswer | AskWhich | HandOver | UseTools | UseKnowledge | UseMemory | Reason | Decline


def choose_route(
    text: str,
    seen: Perception,
    *,
    pending: ArgumentAsked | IntentAsked | None,
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
    if isinstance(pending, ArgumentAsked) and (route := _continued(text, pending, seen.prediction, tools)):
        return route
    prediction = seen.prediction
    if prediction is None:
        return _unbound(seen, settings)
    intent = prediction.intent
    if isinstance(pending, IntentAsked) and (meant := chosen_intent(text, pending.intents, prediction)):
        intent = meant
    elif _lead_apart(prediction.ambiguous, bindings):
        return AskWhich(prediction.ambiguous)
    if intent is None:
        return _from_memory(seen, settings) or Decline("out_of_scope")
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


def chosen_intent(text: str, options: Sequence[str], prediction: Prediction) -> str | None:
    """Which of the intents that the bot offered a message names: by number, by its words, or by what it wants.

    Args:
        text: The user message.
        options: Names of the intents, in the order in which they were offered.
        prediction: What the message by itself seems to want.
    """
    words = set(re.findall(r"\w+", text.casefold()))
    numbered = [name for number, name in enumerate(options, start=1) if str(number) in words]
    if len(numbered) == 1 and len(words) <= _SHORT_ANSWER:
        return numbered[0]
    titles = [set(re.findall(r"[^\W_]+", name.casefold())) for name in options]
    shared = set.intersection(*titles)
    named = [name for name, title in zip(options, titles, strict=True) if words & (title - shared)]
    if len(named) == 1:
        return named[0]
    return prediction.intent if prediction.intent in options and not prediction.ambiguous else None


def _lead_apart(intents: Sequence[str], bindings: Mapping[str, Binding]) -> bool:
    """Whether these intents, two or none, are bound to different things that the answer to a question decides.

    Knowledge is searched with the message itself, whichever intent it is; the answer "1" would find nothing.
    """
    bound = [bindings[name] for name in intents if name in bindings]
    if len(bound) < 2 or any(each.knowledge for each in bound):
        return False
    ways = [each.model_copy(update={"description": ""}) for each in bound]
    return any(each != ways[0] for each in ways)


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
    narrowed = narrow(tool, TrustedText(text), {})
    properties = narrowed.spec.parameters["properties"]
    return {name for name in tool.authority if "enum" in properties.get(name, {})}


def _changes_subject(pending: ArgumentAsked, prediction: Prediction | None) -> bool:
    return (
        prediction is not None
        and prediction.intent not in (None, pending.intent)
        and prediction.probability >= _CHANGE_OF_SUBJECT
    )


def _from_knowledge(seen: Perception, documents: Sequence[str]) -> UseKnowledge | None:
    passages = of_documents(seen.passages, documents)
    return UseKnowledge(passages) if passages else None


def of_documents(passages: Sequence[PassageFound], documents: Sequence[str]) -> tuple[PassageFound, ...]:
    """The passages of the documents that an intent is answered from; all where it names none."""
    return tuple(each for each in passages if not documents or each.document in documents)


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
