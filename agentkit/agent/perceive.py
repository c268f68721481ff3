"""What the encoder says about a message: one pass, from which intent, recall, knowledge and tools read."""

from __future__ import annotations

import time
from collections.abc import Generator

from agentkit.agent.route import Perception
from agentkit.agent.steps import context_for
from agentkit.agent.turn import Turn
from agentkit.events import Event, IntentRecognised, MemoriesRecalled, PassagesFound
from agentkit.messages import Assistant

_MOST_MEMORIES = 5


def perceive(turn: Turn) -> Generator[Event, None, Perception]:
    """Embed the message once and read everything from the vector; yields what was found."""
    wiring, settings = turn.wiring, turn.wiring.settings
    started = time.perf_counter()
    vector = wiring.encoder.encode([turn.text])[0]  # [d]
    prediction = wiring.intents.predict(turn.text, vector) if wiring.intents is not None else None
    if prediction is not None:
        yield IntentRecognised(
            intent=prediction.intent,
            probability=prediction.probability,
            ranking=prediction.ranking,
            ambiguous=prediction.ambiguous,
            milliseconds=_since(started),
        )
    started = time.perf_counter()
    memories = tuple(
        turn.recall.search(
            vector,
            limit=_MOST_MEMORIES,
            min_similarity=settings.recall_similarity,
            words=turn.text,
            exclude_conversation=turn.conversation_id,
            first_turn=turn.history_from,
        )
    )
    if memories:
        yield MemoriesRecalled(memories=memories, milliseconds=_since(started))
    started = time.perf_counter()
    found = wiring.knowledge.search(vector, turn.text, settings.max_passages) if wiring.knowledge else []
    passages = tuple(p for p in found if p.similarity >= settings.passage_similarity)
    if passages:
        yield PassagesFound(passages=passages, milliseconds=_since(started))
    turn.tools = wiring.tools.prepared(context_for(turn), only_looking=wiring.flows is not None)
    used = {call.name for m in turn.history if isinstance(m, Assistant) for call in m.calls}
    ranked = tuple(turn.tools.rank(vector, turn.text, used))
    return Perception(vector, prediction, memories, passages, ranked)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
